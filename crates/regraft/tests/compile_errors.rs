//! What the compiler says to the mistakes that most people make: each file in `compile_errors` does not
//! compile, and the message beside it says what to write instead.
//! `TRYBUILD=overwrite` writes the messages anew.

#[test]
fn mistakes_are_answered_with_what_to_write() {
    trybuild::TestCases::new().compile_fail("tests/compile_errors/*.rs");
}
