//! The standard `process_*` metrics, read from `/proc/self` when asked. Elsewhere than on Linux there are none.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use std::fmt;
use std::fs;

/// Clock ticks a second in `/proc`: 100 on every Linux there is, whatever the kernel's own rate.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads the figures of this process.
#[derive(Debug)]
pub(super) struct Process;

/// Figures of a process, as far as they can be read.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessFigures {
    /// User and system time.
    pub cpu_seconds: Option<f64>,
    /// Memory in RAM, bytes.
    pub resident_bytes: Option<u64>,
    /// Address space, bytes.
    pub virtual_bytes: Option<u64>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
    /// Limit of open file descriptors.
    pub max_fds: Option<u64>,
    /// Start, seconds since the epoch.
    pub start_seconds: Option<f64>,
}

impl ProcessFigures {
    /// Those of this process, now.
    #[must_use]
    pub fn read() -> Self {
        let file = |path| fs::read_to_string(path).unwrap_or_default();
        let stat = file("/proc/self/stat");
        let status = file("/proc/self/status");
        let open = fs::read_dir("/proc/self/fd").map(|entries| entries.count() as u64);
        Self {
            cpu_seconds: ticks(&stat, 14).zip(ticks(&stat, 15)).map(|(u, s)| u + s),
            resident_bytes: kilobytes(&status, "VmRSS:"),
            virtual_bytes: kilobytes(&status, "VmSize:"),
            open_fds: open.ok(),
            max_fds: max_fds(&file("/proc/self/limits")),
            start_seconds: ticks(&stat, 22)
                .zip(boot_seconds(&file("/proc/stat")))
                .map(|(start, boot)| start + boot),
        }
    }
}

/// A field of `/proc/self/stat` (proc_pid_stat(5), from 1) in seconds. The name before it may hold anything.
fn ticks(stat: &str, field: usize) -> Option<f64> {
    let (_, after) = stat.rsplit_once(')')?;
    let text = after.split_ascii_whitespace().nth(field.checked_sub(3)?)?;
    Some(text.parse::<f64>().ok()? / TICKS_PER_SECOND)
}

fn kilobytes(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let number: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    number.checked_mul(1024)
}

fn max_fds(limits: &str) -> Option<u64> {
    let mut lines = limits.lines();
    let line = lines.find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn boot_seconds(stat: &str) -> Option<f64> {
    let mut lines = stat.lines();
    let line = lines.find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let figures = ProcessFigures::read();
        let mut put = |name: &str, help: &str, unit: Option<&Unit>, metric: &dyn EncodeMetric| {
            metric.encode(encoder.encode_descriptor(name, help, unit, metric.metric_type())?)
        };
        let (seconds, bytes) = (Some(&Unit::Seconds), Some(&Unit::Bytes));
        if let Some(value) = figures.cpu_seconds {
            let metric = ConstCounter::new(value);
            put("process_cpu", "User and system time", seconds, &metric)?;
        }
        if let Some(value) = figures.resident_bytes {
            let metric = ConstGauge::new(value);
            put("process_resident_memory", "Memory in RAM", bytes, &metric)?;
        }
        if let Some(value) = figures.virtual_bytes {
            let metric = ConstGauge::new(value);
            put("process_virtual_memory", "Address space", bytes, &metric)?;
        }
        if let Some(value) = figures.open_fds {
            let metric = ConstGauge::new(value);
            put("process_open_fds", "Open file descriptors", None, &metric)?;
        }
        if let Some(value) = figures.max_fds {
            let metric = ConstGauge::new(value);
            put(
                "process_max_fds",
                "Limit of open file descriptors",
                None,
                &metric,
            )?;
        }
        if let Some(value) = figures.start_seconds {
            let metric = ConstGauge::new(value);
            put(
                "process_start_time",
                "Start of the process",
                seconds,
                &metric,
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process() {
        let figures = ProcessFigures::read();
        assert!(figures.resident_bytes.is_some_and(|bytes| bytes > 1 << 20));
        assert!(figures.virtual_bytes > figures.resident_bytes);
        assert!(figures.open_fds.is_some_and(|count| count >= 3));
        assert!(figures.max_fds > figures.open_fds);
        let now = jiff::Timestamp::now().as_second() as f64;
        let start = figures.start_seconds.unwrap();
        assert!(
            start <= now + 1.0 && start > now - 86_400.0,
            "{start} {now}"
        );
    }

    #[test]
    fn a_name_with_spaces_and_brackets() {
        let stat = "7 (a) b ) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 1 0 4200 0";
        assert_eq!(ticks(stat, 14), Some(2.5));
        assert_eq!(ticks(stat, 15), Some(0.5));
        assert_eq!(ticks(stat, 22), Some(42.0));
        assert_eq!(ticks("", 14), None);
    }
}
