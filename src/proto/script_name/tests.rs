//! Where applications are mounted.

use super::path_info;

#[test]
fn paths_below_the_mount_point() {
    for (script_name, path, info) in [
        ("", "/a", "/a"),
        ("", "", ""),
        ("/foo", "/foo/bar", "/bar"),
        ("/foo", "/foo", ""),
        ("/foo", "/foobar", "bar"),
        ("/f%20o", "/f%20o/x", "/x"),
    ] {
        assert_eq!(path_info(script_name.as_bytes(), path.as_bytes()), Ok(info.as_bytes()));
    }
}

#[test]
fn a_path_elsewhere_is_a_configuration_problem() {
    let refusal = path_info(b"/foo", b"/env").unwrap_err();
    assert_eq!((refusal.status(), refusal.reason()), (500, "Bad Request"));
    let text = "Configuration problem: Request path '/env' does not start with SCRIPT_NAME '/foo'";
    assert_eq!(refusal.log_text(), text);
}
