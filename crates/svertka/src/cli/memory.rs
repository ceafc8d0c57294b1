//! How much memory there is for this process, and how much it has taken, where the system (Linux) tells.

use std::fs;
use std::path::Path;

/// Bytes that can be had without swapping: what the system has left, or what the limits of this process's control groups
/// leave of it. `None` where nothing is known.
pub(crate) fn available() -> Option<u64> {
    let left = field(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")?;
    Some(group_limit().map_or(left, |limit| limit.min(left)))
}

/// The most bytes that this process has held in memory at once.
pub(crate) fn peak() -> Option<u64> {
    field(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// A line such as `MemAvailable:  1024 kB`, in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// How a version of control groups is told of.
struct Groups {
    /// What stands before this process's group in `/proc/self/cgroup`, behind the number of the hierarchy.
    mark: &'static str,
    root: &'static str,
    limit: &'static str,
    held: &'static str,
    /// Files that are only kept in memory, in `memory.stat`: they can be dropped.
    files: &'static str,
}

const VERSIONS: [Groups; 2] = [
    Groups {
        mark: "::/",
        root: "/sys/fs/cgroup",
        limit: "memory.max",
        held: "memory.current",
        files: "inactive_file ",
    },
    Groups {
        mark: ":memory:/",
        root: "/sys/fs/cgroup/memory",
        limit: "memory.limit_in_bytes",
        held: "memory.usage_in_bytes",
        files: "total_inactive_file ",
    },
];

/// What the tightest limit among this process's control groups leaves.
fn group_limit() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    VERSIONS.iter().filter_map(|groups| groups.tightest(&text)).min()
}

impl Groups {
    fn tightest(&self, text: &str) -> Option<u64> {
        let path = text.lines().find_map(|line| line.split_once(self.mark).map(|(_, path)| path))?;
        let (root, group) = (Path::new(self.root), Path::new(self.root).join(path));
        // In a container the root is the container's group, and the path may lie outside.
        let folders = group.ancestors().take_while(|folder| folder.starts_with(root));
        folders.filter_map(|folder| self.left_of(folder)).min()
    }

    fn left_of(&self, folder: &Path) -> Option<u64> {
        let number = |file: &str| fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok();
        let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let files = stat.lines().find_map(|line| line.strip_prefix(self.files)?.parse().ok()).unwrap_or(0);
        Some(number(self.limit)?.saturating_sub(number(self.held)?.saturating_sub(files)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_in_bytes() {
        let text = "MemTotal:       16384 kB\nMemAvailable:    1024 kB\n";
        assert_eq!(field(text, "MemAvailable:"), Some(1 << 20));
        assert_eq!(field(text, "MemFree:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_tells() {
        assert!(peak().is_some_and(|bytes| bytes > 1 << 16));
        assert!(available().is_some());
    }
}
