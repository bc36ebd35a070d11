//! Rent: importance costs, and fades where it is not paid for.

use super::bank::Bank;

/// The STI rent of an atom, each time it is due: none as long as funds are on target.
pub fn sti_rent(bank: &Bank, rent: f64) -> f64 {
    let due = bank.parameters().target_funds - bank.sti_funds();
    if due <= 0.0 {
        0.0
    } else {
        rent + rent * (due / bank.parameters().funds_buffer).clamp(-0.99, 1.0)
    }
}

/// The LTI rent of an atom, each time it is due.
pub fn lti_rent(bank: &Bank, rent: f64) -> f64 {
    let due = bank.parameters().target_funds - bank.lti_funds();
    rent + rent * (due / bank.parameters().funds_buffer).clamp(-1.0, 1.0)
}

/// Every atom in the focus pays what is due after so many seconds (`AFRentCollectionAgent`). Returns
/// whether any was due.
pub fn collect_from_focus(bank: &mut Bank, seconds: f64) -> bool {
    let times = seconds * bank.parameters().rent_frequency;
    if times < 1.0 {
        return false;
    }
    let rent = bank.parameters().rent;
    for atom in bank.focus().collect::<Vec<_>>() {
        let due = (times * sti_rent(bank, rent), times * lti_rent(bank, rent));
        collect(bank, atom, due);
    }
    true
}

/// An atom pays STI and LTI, but no more than it has. One that has less than nothing is let off:
/// upstream takes what it has, which sets it to 0.
pub fn collect(bank: &mut Bank, atom: u32, (sti_due, lti_due): (f64, f64)) {
    let (sti, lti) = (bank.sti(atom), bank.lti(atom));
    bank.set_sti(atom, sti - sti_due.min(sti));
    bank.set_lti(atom, lti - lti_due.min(lti));
}

#[cfg(test)]
mod tests {
    use super::super::parameters::Parameters;
    use super::*;

    #[test]
    fn no_sti_rent_is_due_until_funds_are_short() {
        let mut bank = Bank::new(2, Parameters::default());
        bank.set_sti(0, 90_000.0);
        assert_eq!(sti_rent(&bank, 1.0), 0.0, "funds are on target");
        bank.set_sti(1, 5_000.0);
        assert_eq!(sti_rent(&bank, 1.0), 1.5);
        bank.set_sti(1, 30_000.0);
        assert_eq!(sti_rent(&bank, 1.0), 2.0);
        assert_eq!(lti_rent(&bank, 1.0), 0.0, "of LTI there is plenty");
        bank.set_lti(0, 95_000.0);
        assert_eq!(lti_rent(&bank, 1.0), 1.5);
    }

    #[test]
    fn atoms_pay_what_they_have_at_most() {
        let mut bank = Bank::new(3, Parameters { focus: 2, ..Parameters::default() });
        bank.set_sti(0, 99_000.0);
        bank.set_sti(1, 3.0);
        bank.set_sti(2, -5.0);
        assert!(!collect_from_focus(&mut bank, 0.1), "it is not due yet");
        assert!(collect_from_focus(&mut bank, 1.0));
        assert_eq!(bank.sti(1), 0.0);
        assert!((98_989.0..98_992.0).contains(&bank.sti(0)), "{}", bank.sti(0));
        assert_eq!(bank.sti(2), -5.0, "outside of the focus");
        collect(&mut bank, 2, (1.0, 0.0));
        assert_eq!(bank.sti(2), 0.0);
    }
}
