//! Spans of time in words.

use super::super::args::{Args, Bound, bind, failed};
use super::super::cost::number;
use super::super::numbers::{float_of, integer_text};
use super::{by_format, defined, with_commas};
use crate::translate::text;
use minijinja::value::Value;
use minijinja::{Environment, Error, State};

/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// Registers them.
pub(super) fn register(env: &mut Environment<'static>) {
    env.add_filter("humanize_naturaldelta", naturaldelta);
    env.add_filter("humanize_naturaltime", naturaltime);
    env.add_filter("humanize_precisedelta", precisedelta);
}

/// Refuses more days than Python's `timedelta` holds.
fn in_bounds(seconds: f64) -> Result<(), Error> {
    const DAYS_MAX: f64 = 999_999_999.0;
    if seconds.abs() / 86_400.0 > DAYS_MAX + 1.0 {
        return Err(failed("humanize: the time is too long"));
    }
    Ok(())
}

fn counted(count: f64, one: &str, many: &str) -> String {
    if count == 1.0 {
        one.to_owned()
    } else {
        format!("{count:.0} {many}")
    }
}

/// A span of seconds in words.
fn delta(seconds: f64, months: bool, unit: &str) -> Result<String, Error> {
    if !["seconds", "milliseconds", "microseconds"].contains(&unit) {
        return Err(failed(format!(
            "humanize: the minimum unit `{unit}` is not supported"
        )));
    }
    in_bounds(seconds)?;
    let micros = (seconds.abs() * 1e6).round();
    let (days, rest) = ((micros / (DAY * 1e6)).floor(), micros % (DAY * 1e6));
    let (seconds, micros) = ((rest / 1e6).floor(), rest % 1e6);
    let (years, days) = ((days / 365.0).floor(), days % 365.0);
    let whole_months = (days / 30.5).round_ties_even().min(11.0);
    if years == 0.0 && days < 1.0 {
        return Ok(if seconds == 0.0 {
            if unit == "microseconds" && micros < 1000.0 {
                counted(micros, "1 microsecond", "microseconds")
            } else if unit != "seconds" {
                counted((micros / 1000.0).floor(), "1 millisecond", "milliseconds")
            } else {
                "a moment".into()
            }
        } else if seconds < 60.0 {
            counted(seconds, "a second", "seconds")
        } else if seconds < 3600.0 {
            match (seconds / 60.0).round_ties_even() {
                60.0 => "an hour".into(),
                minutes => counted(minutes, "a minute", "minutes"),
            }
        } else {
            match (seconds / 3600.0).round_ties_even() {
                24.0 => "a day".into(),
                hours => counted(hours, "an hour", "hours"),
            }
        });
    }
    let some_months = months && whole_months > 0.0;
    Ok(if years == 0.0 {
        if some_months {
            counted(whole_months, "a month", "months")
        } else {
            counted(days, "a day", "days")
        }
    } else if years == 1.0 {
        if some_months {
            format!("1 year, {}", counted(whole_months, "1 month", "months"))
        } else if days == 0.0 {
            "a year".into()
        } else {
            format!("1 year, {}", counted(days, "1 day", "days"))
        }
    } else {
        format!("{} years", with_commas(&format!("{years:.0}")))
    })
}

fn naturaldelta(value: &Value, args: Args) -> Result<String, Error> {
    defined(value)?;
    // Python's int() takes no fraction in a text.
    if value
        .as_str()
        .is_some_and(|text| integer_text(text).is_none())
    {
        return Ok(text::printed(value));
    }
    let args = bind(args, &["months", "minimum_unit"])?;
    match float_of(value).filter(|n| n.is_finite()) {
        Some(seconds) => delta(seconds, args.flag(0, true), &args.text(1, "seconds")),
        None => Ok(text::printed(value)),
    }
}

fn naturaltime(value: &Value, args: Args) -> Result<String, Error> {
    let args = bind(args, &["future", "months", "minimum_unit", "when"])?;
    let Some(seconds) = float_of(value).filter(|n| n.is_finite() && value.as_str().is_none())
    else {
        return Ok(text::printed(value));
    };
    let words = delta(
        seconds.round_ties_even(),
        args.flag(1, true),
        &args.text(2, "seconds"),
    )?;
    Ok(if words == "a moment" {
        "now".into()
    } else {
        format!(
            "{words} {}",
            if args.flag(0, false) {
                "from now"
            } else {
                "ago"
            }
        )
    })
}

/// Name of one, of many, and length in seconds.
const UNITS: [(&str, &str, f64); 8] = [
    ("year", "years", 365.0 * DAY),
    ("month", "months", 30.5 * DAY),
    ("day", "days", DAY),
    ("hour", "hours", 3600.0),
    ("minute", "minutes", 60.0),
    ("second", "seconds", 1.0),
    ("millisecond", "milliseconds", 1e-3),
    ("microsecond", "microseconds", 1e-6),
];

fn precisedelta(state: &State, value: &Value, args: Args) -> Result<String, Error> {
    let args = bind(args, &["minimum_unit", "suppress", "format"])?;
    number(state, value)?;
    let Some(seconds) = float_of(value).filter(|n| n.is_finite() && value.as_str().is_none())
    else {
        return Ok(text::printed(value));
    };
    in_bounds(seconds)?;
    let suppressed: Vec<String> = args
        .value(1)
        .and_then(|v| v.try_iter().ok())
        .into_iter()
        .flatten()
        .map(|v| text::printed(&v))
        .collect();
    let shown = |unit: &&(&str, &str, f64)| !suppressed.iter().any(|s| s == unit.1);
    let smallest = args.text(0, "seconds");
    let last = UNITS
        .iter()
        .position(|unit| unit.1 == smallest)
        .ok_or_else(|| {
            failed(format!(
                "humanize_precisedelta: the unit `{smallest}` is unknown"
            ))
        })?;
    let units: Vec<&(&str, &str, f64)> = UNITS.iter().take(last + 1).filter(shown).collect();
    let Some((_, _, least)) = units.last().copied().copied() else {
        return Err(failed("humanize_precisedelta: every unit is suppressed"));
    };
    // Parts of a second count only where seconds do.
    let seconds = if least > 1.0 {
        seconds.abs().floor()
    } else {
        seconds.abs()
    };
    decompose(state, seconds, &units, least, &args)
}

fn decompose(
    state: &State,
    seconds: f64,
    units: &[&(&str, &str, f64)],
    least: f64,
    args: &Bound,
) -> Result<String, Error> {
    let format = args.text(2, "%0.2f");
    // Rounded first, so that 59.999 seconds are one minute.
    let rounded = by_format(state, &format, seconds / least)?;
    let mut rest = rounded.trim().parse::<f64>().unwrap_or(seconds / least);
    let mut parts = Vec::new();
    for (one, many, length) in units {
        let per = length / least;
        let is_last = *length == least;
        let amount = if is_last {
            rest
        } else {
            (rest / per + 1e-9).floor()
        };
        rest = if *one == "month" && !is_last {
            // Days are whole here: the half day of a month is dropped.
            let day = DAY / least;
            let days = (rest / day + 1e-9).floor();
            (days - amount * 30.5).floor().max(0.0) * day + (rest - days * day)
        } else {
            rest - amount * per
        };
        rest = rest.max(0.0);
        if amount <= 1e-9 && !(is_last && parts.is_empty()) {
            continue;
        }
        let fraction = (amount - amount.round()).abs() > 1e-9;
        let number = if is_last && fraction {
            by_format(state, &format, amount)?
        } else {
            format!("{amount:.0}")
        };
        let number = if *one == "year" {
            with_commas(&number)
        } else {
            number
        };
        parts.push(format!(
            "{number} {}",
            if number == "1" { one } else { many }
        ));
    }
    Ok(match parts.split_last() {
        Some((only, [])) => only.clone(),
        Some((last, head)) => format!("{} and {last}", head.join(", ")),
        None => String::new(),
    })
}
