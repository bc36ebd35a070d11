//! The parameters of attention allocation, and their values in OpenCog.

/// As `default-param-values.scm` and `AttentionBank.cc` have them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameters {
    /// What the bank has of STI and of LTI when no atom has any.
    pub starting_funds: f64,
    /// The funds of STI and of LTI that wages and rents aim at.
    pub target_funds: f64,
    /// How far funds are from that where wages and rents are at their extremes.
    pub funds_buffer: f64,
    /// The wage of a unit of stimulus when funds are on target.
    pub wage: f64,
    /// The rent of an atom in the attentional focus when funds are on target, each time.
    pub rent: f64,
    /// How many atoms are in the attentional focus: MAX_AF_SIZE.
    pub focus: usize,
    /// The share of an atom's STI that it spreads: MAX_SPREAD_PERCENTAGE.
    pub spread: f64,
    /// The share of that for Hebbian links: HEBBIAN_MAX_ALLOCATION_PERCENTAGE.
    pub hebbian_share: f64,
    /// How often rent is due, a second: AF_RENT_FREQUENCY.
    pub rent_frequency: f64,
    /// The most Hebbian links of an atom: MAX_LINKS.
    pub links: usize,
    /// How many new links stay in the focus for each that leads out of it: LOCAL_FAR_LINK_RATIO.
    pub local_to_far: usize,
    /// How many atoms there may be before some are forgotten.
    pub atoms: usize,
    /// By how much they may be more, and become fewer.
    pub atoms_spread: usize,
}

impl Default for Parameters {
    fn default() -> Parameters {
        Parameters {
            starting_funds: 100_000.0,
            target_funds: 10_000.0,
            funds_buffer: 10_000.0,
            wage: 10.0,
            rent: 1.0,
            focus: 1000,
            spread: 0.4,
            hebbian_share: 0.05,
            rent_frequency: 5.0,
            links: 300,
            local_to_far: 10,
            atoms: 10_000,
            atoms_spread: 100,
        }
    }
}
