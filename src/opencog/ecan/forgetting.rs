//! Forgetting: where atoms become too many, those of the least long-term importance go.

use super::bank::Bank;
use super::hebbian::HebbianLinks;
use super::incidence::Incidence;

/// The highest LTI there is: upstream lets go of any atom up to it.
const HIGHEST_LTI: f64 = 32767.0;

/// Forgets atoms if they are too many, and says which, in order (`ForgettingAgent`). `kept` are those
/// that are there; Hebbian links count as atoms. An atom that a link names stays, unless the link
/// is Hebbian. Of equal LTI, the first atom goes first.
pub fn forget(
    bank: &mut Bank,
    incidence: &Incidence,
    links: &mut HebbianLinks,
    kept: &mut [bool],
) -> Vec<u32> {
    let (most, spread) = (bank.parameters().atoms, bank.parameters().atoms_spread);
    let atoms = kept.iter().filter(|kept| **kept).count() + links.len();
    if atoms < most + spread {
        return Vec::new();
    }
    let too_many = atoms - most.saturating_sub(spread);
    let mut order: Vec<u32> = (0..kept.len() as u32).filter(|atom| kept[*atom as usize]).collect();
    order.sort_by(|a, b| bank.lti(*a).total_cmp(&bank.lti(*b)));
    let (mut forgotten, mut count) = (Vec::new(), 0);
    for atom in order {
        if bank.lti(atom) > HIGHEST_LTI || count >= too_many {
            break;
        }
        let is_named = incidence.incoming(atom).iter().any(|link| kept[*link as usize]);
        if bank.values().vlti[atom as usize] > 0 || is_named {
            continue;
        }
        bank.remove(atom);
        kept[atom as usize] = false;
        count += 1 + links.remove_atom(atom);
        forgotten.push(atom);
    }
    forgotten
}

#[cfg(test)]
mod tests {
    use super::super::hebbian::HebbianLink;
    use super::super::parameters::Parameters;
    use super::super::values::AttentionValues;
    use super::*;

    #[test]
    fn the_least_important_go_unless_they_are_wanted() {
        let parameters = Parameters { atoms: 6, atoms_spread: 1, ..Parameters::default() };
        let values = AttentionValues {
            sti: vec![0.0; 7],
            lti: vec![1.0, 0.0, 2.0, 3.0, 0.5, 9.0, 4.0],
            vlti: vec![0, 1, 0, 0, 0, 0, 0],
        };
        let mut bank = Bank::with_values(&values, parameters);
        // Atom 6 is a link that names atom 4.
        let incidence = Incidence::new(7, &[(6, vec![4])]).unwrap();
        let mut links = HebbianLinks::new();
        links.set(0, 5, HebbianLink { strength: 0.5, confidence: 0.1, vlti: 1 });
        let mut kept = vec![true; 7];
        // 8 atoms, to become 5: atom 0 with its link, then 2. 1 is wanted, 4 is named.
        assert_eq!(forget(&mut bank, &incidence, &mut links, &mut kept), [0, 2]);
        assert_eq!(kept, [false, true, false, true, true, true, true]);
        assert!(links.is_empty());
        assert_eq!(bank.lti(0), 0.0);
        assert_eq!(forget(&mut bank, &incidence, &mut links, &mut kept), [0; 0], "few enough");
    }
}
