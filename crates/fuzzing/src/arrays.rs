//! What holds for every array that is handed on.

use arrow_array::{Array, ArrayRef};

/// Panics when the array breaks a rule of Arrow's, such as text that is no UTF-8 or an offset outside its buffer.
pub fn check(array: &ArrayRef, rows: usize) {
    assert_eq!(array.len(), rows, "rows of an array");
    if let Err(error) = array.to_data().validate_full() {
        panic!("an array of {} is unsound: {error}", array.data_type());
    }
}
