//! `[status]`.

use std::time::Duration;

use super::{MAPPING, Place, check};

#[test]
fn the_status_is_written_where_a_dataset_is_named() {
    assert!(Place::new(MAPPING).load(&[]).unwrap().status.is_none());
    let named = |more: &str| format!("[status]\ndataset = \"landbridge\"\n{more}{MAPPING}");
    let status = Place::new(&named("")).load(&[]).unwrap().status.unwrap();
    assert_eq!((&*status.dataset, status.every), ("landbridge", Duration::from_secs(300)));
    let status = Place::new(&named("every = \"1h\"\n")).load(&[]).unwrap().status.unwrap();
    assert_eq!(status.every, Duration::from_secs(3_600));
    check(&named("every = \"5s\"\n"), &["status.every"]);
    let wrong = format!("[status]\ndataset = \"land-bridge\"\n{MAPPING}");
    check(&wrong, &["\"land-bridge\" cannot be a dataset"]);
}
