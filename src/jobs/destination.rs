//! Destinations as they are compared and shown.

use std::path::{Path, PathBuf};

/// What two destinations share when they are the same place.
pub fn key(destination: &Path) -> String {
    resolved(destination).to_string_lossy().into_owned()
}

/// `path` without symbolic links, as far as it exists.
pub fn resolved(path: &Path) -> PathBuf {
    let existing = path.ancestors().find_map(|parent| Some((parent, std::fs::canonicalize(parent).ok()?)));
    match existing {
        Some((parent, real)) => path.strip_prefix(parent).map_or(real.clone(), |rest| real.join(rest)),
        None => path.to_owned(),
    }
}

/// `destination` without what may be secret: user and password before the host of a URL, and what follows its `?`.
pub fn shown(destination: &str) -> String {
    let Some((scheme, rest)) = destination.split_once("://") else { return destination.to_owned() };
    let rest = rest.split('?').next().unwrap_or_default();
    let (authority, path) =
        rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));
    let host = authority.rsplit('@').next().unwrap_or_default();
    let path = path.map(|path| format!("/{path}")).unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_a_url_are_not_shown() {
        assert_eq!(shown("/a/b?c"), "/a/b?c");
        assert_eq!(shown("s3://bucket/a/b?s3_access_key_id=x&s3_secret_access_key=y"), "s3://bucket/a/b");
        assert_eq!(shown("https://me:secret@host:9000/bucket/a"), "https://host:9000/bucket/a");
        assert_eq!(shown("s3://bucket"), "s3://bucket");
    }

    #[test]
    fn a_link_and_its_target_are_the_same_place() {
        let base = std::env::temp_dir().join(format!("questdb-link-{}", std::process::id()));
        std::fs::create_dir_all(base.join("real")).unwrap();
        let real = std::fs::canonicalize(base.join("real")).unwrap();
        assert_eq!(key(&base.join("real/a/b")), real.join("a/b").to_string_lossy());
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&real, base.join("link")).unwrap();
            assert_eq!(key(&base.join("link/a")), key(&real.join("a")));
        }
        std::fs::remove_dir_all(&base).unwrap();
    }
}
