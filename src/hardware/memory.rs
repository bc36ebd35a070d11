//! The memory that a model must fit in.

use std::fmt;
use std::sync::OnceLock;

use serde::Serialize;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// Memory of the machine that will run the model, in GB (10^9 bytes), and who says so.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "of", content = "gb", rename_all = "kebab-case")]
pub enum Memory {
    /// As asked for.
    Asked(f64),
    /// What this machine has.
    ThisMachine(f64),
    /// [`Memory::FALLBACK`], if nobody asks and this machine does not tell.
    Assumed(f64),
}

impl Memory {
    /// What most machines have, in GB.
    pub const FALLBACK: f64 = 8.0;

    /// What this machine has, or what its container may use if that is less.
    pub fn of_this_machine() -> Memory {
        static BYTES: OnceLock<u64> = OnceLock::new();
        match *BYTES.get_or_init(bytes) {
            0 => Memory::Assumed(Memory::FALLBACK),
            bytes => Memory::ThisMachine(bytes as f64 / 1e9),
        }
    }

    /// The memory in GB.
    pub fn gb(self) -> f64 {
        let (Memory::Asked(gb) | Memory::ThisMachine(gb) | Memory::Assumed(gb)) = self;
        gb
    }

    /// The memory in bytes.
    pub fn bytes(self) -> u64 {
        // A thousandth of a byte, so that 0.123456789 GB are 123456789 bytes in spite of rounding.
        (self.gb() * 1e9 + 1e-3) as u64
    }
}

/// The flag that asks for it.
impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Memory::Asked(gb) => write!(f, "--memory {gb}"),
            Memory::ThisMachine(gb) => write!(f, "the default --memory {gb:.1} (this machine)"),
            Memory::Assumed(gb) => write!(f, "the default --memory {gb}"),
        }
    }
}

/// The memory of this machine in bytes; 0 if the system does not tell.
fn bytes() -> u64 {
    let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(memory);
    let total = system.total_memory();
    let limit = system.cgroup_limits().map(|limits| limits.total_memory);
    limit.filter(|&limit| limit > 0).map_or(total, |limit| limit.min(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_some() {
        let memory = Memory::of_this_machine();
        assert!((0.01..1e6).contains(&memory.gb()), "{memory}");
        assert_eq!(memory, Memory::of_this_machine());
    }

    #[test]
    fn bytes_are_whole() {
        assert_eq!(Memory::Asked(0.123456789).bytes(), 123_456_789);
        assert_eq!(Memory::Asked(1e30).bytes(), u64::MAX);
    }

    #[test]
    fn it_is_told_who_asks() {
        assert_eq!(Memory::Asked(7.5).to_string(), "--memory 7.5");
        let machine = Memory::ThisMachine(25.184).to_string();
        assert_eq!(machine, "the default --memory 25.2 (this machine)");
        assert_eq!(Memory::Assumed(8.0).to_string(), "the default --memory 8");
    }
}
