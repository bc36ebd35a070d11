//! Tensors that do the same in every block, told from their names, whatever the architecture.

use std::fmt;

use super::role::Role;

/// What tensors have in common that get one format in a plan by weights, and one line in a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The tensors do this.
    Role(Role),
    /// Nobody knows what they do; this is their name without what counts blocks: `enc.blk.*.attn_q`.
    Named(String),
}

impl Kind {
    /// The kind of the tensor `name`.
    pub fn of(name: &str) -> Kind {
        match Role::of(name) {
            Role::Other => Kind::Named(uncounted(name)),
            role => Kind::Role(role),
        }
    }
}

/// A name with a star for each part that is a number, and without `.weight`.
fn uncounted(name: &str) -> String {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let name = name.strip_suffix(".weight").unwrap_or(name);
    let parts = name.split('.').map(|part| if is_number(part) { "*" } else { part });
    parts.collect::<Vec<_>>().join(".")
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Role(role) => role.fmt(f),
            Kind::Named(name) => f.pad(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_role_is_known_by_its_name() {
        for (name, shown) in [
            ("blk.0.attn_q.weight", "attention q"),
            ("enc.blk.0.attn_q.weight", "enc.blk.*.attn_q"),
            ("dec.blk.11.cross_attn_q.weight", "dec.blk.*.cross_attn_q"),
            ("v.blk.7.attn_out.weight", "v.blk.*.attn_out"),
            ("mm.0.weight", "mm.*"),
            ("mm.input_projection.weight", "mm.input_projection"),
            ("blk.3.ssm_in.weight", "blk.*.ssm_in"),
            ("w1.weight", "w1"),
            (".weight", ""),
            ("nameless", "nameless"),
        ] {
            assert_eq!(Kind::of(name).to_string(), shown, "{name}");
        }
    }
}
