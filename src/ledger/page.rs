//! `docs/ledger.md`, whose diagram is asked of the rules.

use crate::domain::transition::states::diagram;

#[test]
fn the_page_is_not_stale() {
    let (head, tail) = (include_str!("page/head.md"), include_str!("page/tail.md"));
    let text = format!("{head}{}{tail}", diagram().unwrap());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ledger.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), text);
}
