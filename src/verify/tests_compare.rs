//! Types that hold a secret, or what is computed with one, cannot be compared with `==`: this does not compile where
//! one of them can.

use super::{DatedSecret, Verifier, digest, keyed, mac};
use crate::model::Secret;

/// Two ways to read one name where a type has the trait, and the compiler then takes neither.
macro_rules! never_compared {
    ($($type:ty),+) => {$(
        const _: () = {
            trait Ambiguous<A> {
                const FINE: () = ();
            }
            struct Compared;
            impl<T: ?Sized> Ambiguous<()> for T {}
            impl<T: ?Sized + PartialEq> Ambiguous<Compared> for T {}
            <$type as Ambiguous<_>>::FINE
        };
    )+};
}

never_compared!(
    Secret,
    DatedSecret,
    Verifier,
    mac::Key,
    digest::DigestKey,
    keyed::AnyKey,
    super::token::TokenVerifier,
    super::body_token::BodyTokenVerifier,
    super::jwt::JwtVerifier,
    super::special::SpecialVerifier
);
