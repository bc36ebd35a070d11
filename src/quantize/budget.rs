//! How many bytes the quantized tensors may take: the tightest of what the user asked for.

use crate::config::{Config, Goal};

/// What the limits are counted against, known before any format is chosen.
#[derive(Debug, Clone, Copy)]
pub struct Fixed {
    /// Weights of the whole model.
    pub parameters: u64,
    /// Weights of the tensors whose formats are to be chosen.
    pub quantized_parameters: u64,
    /// Bytes of the tensors that stay as they are.
    pub kept_bytes: u64,
    /// Bytes of the file beside the tensors, at most: header, metadata, padding.
    pub overhead: u64,
    /// Bytes of the KV cache; 0 where the metadata does not tell.
    pub kv_cache: u64,
}

/// A limit on the bytes of the quantized tensors, and what set it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// Bytes that the quantized tensors may take.
    pub bytes: u64,
    /// What set it.
    pub kind: LimitKind,
}

/// What set a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LimitKind {
    /// `--memory`, in GB.
    Memory(f64),
    /// `--reduction`, a fraction.
    Reduction(f64),
    /// [`Goal::REDUCTION`], which nobody asked for: reached as far as it can be.
    DefaultReduction,
    /// `--size`, in bytes.
    Size(u64),
    /// `--bpw`.
    Bpw(f64),
}

impl Fixed {
    /// Every limit of the configuration, the tightest first.
    pub fn limits(&self, config: &Config) -> Vec<Limit> {
        let Goal { reduction, size, bpw } = config.goal;
        let in_file = |bytes: f64| bytes - (self.kept_bytes + self.overhead) as f64;
        let reduced = |reduction: f64| {
            (1.0 - reduction) * 4.0 * self.parameters as f64 - self.kept_bytes as f64
        };
        let weighed = |bpw: f64| bpw * self.quantized_parameters as f64 / 8.0;
        let memory = in_file(config.memory * 1e9 - self.kv_cache as f64);
        let asked_otherwise = size.is_some() || bpw.is_some() || config.formats.is_some();
        let default = match reduction {
            None if !asked_otherwise => Some(reduced(Goal::REDUCTION)),
            _ => None,
        };
        let limits = [
            Some((memory, LimitKind::Memory(config.memory))),
            reduction.map(|r| (reduced(r), LimitKind::Reduction(r))),
            default.map(|bytes| (bytes, LimitKind::DefaultReduction)),
            size.map(|size| (in_file(size as f64), LimitKind::Size(size))),
            bpw.map(|bpw| (weighed(bpw), LimitKind::Bpw(bpw))),
        ];
        let limit = |(bytes, kind): (f64, LimitKind)| {
            // A hair more than the product, so that `--bpw 4.5` allows 4.5 in spite of rounding.
            let bytes = (bytes + 1e-6 * bytes.abs().min(1e6)).max(0.0) as u64;
            Limit { bytes, kind }
        };
        let mut limits: Vec<Limit> = limits.into_iter().flatten().map(limit).collect();
        limits.sort_by_key(|limit| limit.bytes);
        limits
    }

    /// Why `limit` cannot be met when the quantized tensors take `smallest` bytes at least: what
    /// was asked for, and the least that can be had.
    pub fn unreachable(&self, limit: Limit, smallest: u64) -> String {
        let file = self.kept_bytes + self.overhead + smallest;
        let tensors = self.kept_bytes + smallest;
        match limit.kind {
            LimitKind::Memory(gb) => format!(
                "--memory {gb}: the smallest file has {file} bytes and the KV cache {}, {:.3} GB \
                 together; allow that much, fewer --bits or a smaller --context",
                self.kv_cache,
                ((file + self.kv_cache) as f64 / 1e6).ceil() / 1e3
            ),
            LimitKind::Reduction(_) | LimitKind::DefaultReduction => {
                let reachable = 1.0 - tensors as f64 / (4.0 * self.parameters as f64);
                let asked = match limit.kind {
                    LimitKind::Reduction(reduction) => reduction,
                    _ => Goal::REDUCTION,
                };
                format!(
                    "--reduction {asked}: {:.4} is the most that can be reached, with tensors of \
                     {tensors} bytes",
                    (reachable * 1e4).floor() / 1e4
                )
            }
            LimitKind::Size(size) => {
                format!("--size {size}: the smallest file that can be made has {file} bytes")
            }
            LimitKind::Bpw(bpw) => {
                let smallest = smallest as f64 * 8.0 / self.quantized_parameters as f64;
                format!("--bpw {bpw}: the least that can be had is {:.4}", round_up(smallest))
            }
        }
    }
}

/// The next number with four decimals.
fn round_up(x: f64) -> f64 {
    (x * 1e4).ceil() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXED: Fixed = Fixed {
        parameters: 1_000_000,
        quantized_parameters: 900_000,
        kept_bytes: 400_000,
        overhead: 10_000,
        kv_cache: 5_000,
    };

    #[test]
    fn the_tightest_limit_comes_first() {
        let mut config = Config { memory: 1e-3, ..Config::default() };
        let limits = FIXED.limits(&config);
        assert_eq!(limits[0].kind, LimitKind::Memory(1e-3));
        assert_eq!(limits[0].bytes, 585_000);
        assert_eq!(limits[1], Limit { bytes: 600_000, kind: LimitKind::DefaultReduction });

        config.goal.bpw = Some(4.5);
        let limits = FIXED.limits(&config);
        assert_eq!(limits[0], Limit { bytes: 506_250, kind: LimitKind::Bpw(4.5) });
        assert_eq!(limits.len(), 2, "the default reduction gives way");
    }

    #[test]
    fn messages_name_the_least_that_can_be_had() {
        let limit = Limit { bytes: 0, kind: LimitKind::Size(1000) };
        assert!(FIXED.unreachable(limit, 450_000).contains("860000 bytes"));
        let limit = Limit { bytes: 0, kind: LimitKind::Bpw(2.0) };
        assert!(FIXED.unreachable(limit, 450_000).contains("4.0000"));
        let limit = Limit { bytes: 0, kind: LimitKind::Reduction(0.9) };
        assert!(FIXED.unreachable(limit, 450_000).contains("0.7875"));
    }
}
