//! Which atoms are beside which: the links of an AtomSpace, without Hebbian ones.

/// For each atom, its incoming set and then its outgoing set, as diffusion goes through them.
#[derive(Debug, Clone, PartialEq)]
pub struct Incidence {
    /// Where the incoming set of each atom begins in `incident`, and the end of all.
    starts: Vec<usize>,
    /// Where its outgoing set begins.
    outgoing: Vec<usize>,
    incident: Vec<u32>,
}

/// A link that names an atom that there isn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("link {link} names atom {atom}, and there are {atoms}")]
pub struct IncidenceError {
    /// The link, by its place among the links.
    pub link: usize,
    /// The atom that it names.
    pub atom: u32,
    /// How many there are.
    pub atoms: usize,
}

impl Incidence {
    /// Of so many atoms, some of which are these links: the index of the link itself and its
    /// outgoing set.
    pub fn new(atoms: usize, links: &[(u32, Vec<u32>)]) -> Result<Incidence, IncidenceError> {
        for (link, (atom, outgoing)) in links.iter().enumerate() {
            let strange = outgoing.iter().chain([atom]).find(|atom| **atom as usize >= atoms);
            if let Some(atom) = strange {
                return Err(IncidenceError { link, atom: *atom, atoms });
            }
        }
        let mut incoming = vec![Vec::new(); atoms];
        let mut outgoing: Vec<&[u32]> = vec![&[]; atoms];
        for (link, targets) in links {
            outgoing[*link as usize] = targets;
            for target in targets {
                // A link that names an atom twice is in its incoming set once.
                if incoming[*target as usize].last() != Some(link) {
                    incoming[*target as usize].push(*link);
                }
            }
        }
        let mut all = Incidence { starts: vec![0], outgoing: Vec::new(), incident: Vec::new() };
        for (incoming, outgoing) in incoming.iter().zip(outgoing) {
            all.incident.extend(incoming);
            all.outgoing.push(all.incident.len());
            all.incident.extend(outgoing);
            all.starts.push(all.incident.len());
        }
        Ok(all)
    }

    /// The number of atoms.
    pub fn atoms(&self) -> usize {
        self.outgoing.len()
    }

    /// The links that name an atom, and the atoms that it names.
    pub fn incident(&self, atom: u32) -> &[u32] {
        &self.incident[self.starts[atom as usize]..self.starts[atom as usize + 1]]
    }

    /// The links that name an atom.
    pub fn incoming(&self, atom: u32) -> &[u32] {
        &self.incident[self.starts[atom as usize]..self.outgoing[atom as usize]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_both_ways() {
        let links = [(3, vec![0, 1]), (4, vec![3, 3, 0])];
        let incidence = Incidence::new(5, &links).unwrap();
        assert_eq!(incidence.incident(0), [3, 4]);
        assert_eq!(incidence.incident(3), [4, 0, 1]);
        assert_eq!(incidence.incoming(3), [4]);
        assert_eq!(incidence.incident(4), [3, 3, 0]);
        assert_eq!(incidence.incident(2), [0; 0]);
        let error = Incidence::new(4, &links).unwrap_err().to_string();
        assert_eq!(error, "link 1 names atom 4, and there are 4");
    }
}
