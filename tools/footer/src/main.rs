//! Turns a shared library into a DuckDB extension by appending the footer that `LOAD` reads.
//!
//! The footer is a WebAssembly custom section (so that one reader serves every platform), 534 bytes long:
//!
//! ```text
//! offset  bytes
//!      0  00                  custom section
//!      1  93 04               531, LEB128: what follows
//!      3  10                  16, the length of the name
//!      4  "duckdb_signature"
//!     20  80 04               512, LEB128: fields and signature
//!     22  8 x 32              fields, ASCII padded with NUL:
//!                             "" "" "" ABI, extension version, DuckDB version, platform, "4"
//!    278  256                 signature; zeros in an unsigned extension
//! ```

#![forbid(unsafe_code)]

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const SECTION_START: &[u8; 22] = b"\x00\x93\x04\x10duckdb_signature\x80\x04";
const FIELD_LEN: usize = 32;
const FIELD_COUNT: usize = 8;
const SIGNATURE_LEN: usize = 256;
const FOOTER_LEN: usize = SECTION_START.len() + FIELD_COUNT * FIELD_LEN + SIGNATURE_LEN;

/// First thing DuckDB compares: the version of this footer's own layout.
const FOOTER_VERSION: &str = "4";

const USAGE: &str = "\
usage: footer <library> <name>.duckdb_extension --extension-version V --duckdb-version V --platform P --abi A
example: footer libquestdb.so questdb.duckdb_extension --extension-version v0.1.0 \\
         --duckdb-version v2.0.0 --platform linux_amd64 --abi C_STRUCT_UNSTABLE";

/// What DuckDB compares with itself before it opens the library.
#[derive(Debug, PartialEq, Eq)]
struct Metadata {
    extension_version: String,
    duckdb_version: String,
    platform: String,
    abi: String,
}

#[derive(Debug, PartialEq, Eq)]
struct Request {
    library: PathBuf,
    extension: PathBuf,
    metadata: Metadata,
}

#[derive(Debug, PartialEq, Eq)]
enum Error {
    Usage(String),
    Field { name: &'static str, value: String, problem: &'static str },
    File { action: &'static str, path: PathBuf, problem: String },
    HasFooter(PathBuf),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(problem) => write!(f, "{problem}\n{USAGE}"),
            Self::Field { name, value, problem } => write!(f, "{name} \"{value}\" {problem}"),
            Self::File { action, path, problem } => {
                write!(f, "cannot {action} {}: {problem}", path.display())
            }
            Self::HasFooter(path) => write!(f, "{} already ends with an extension footer", path.display()),
        }
    }
}

impl Metadata {
    fn footer(&self) -> Result<[u8; FOOTER_LEN], Error> {
        let fields: [(&'static str, &str); FIELD_COUNT - 3] = [
            ("--abi", &self.abi),
            ("--extension-version", &self.extension_version),
            ("--duckdb-version", &self.duckdb_version),
            ("--platform", &self.platform),
            ("footer version", FOOTER_VERSION),
        ];
        let mut footer = [0; FOOTER_LEN];
        let (start, rest) = footer.split_at_mut(SECTION_START.len());
        start.copy_from_slice(SECTION_START);
        // The first three fields are reserved and stay empty.
        for ((name, value), slot) in fields.into_iter().zip(rest.chunks_exact_mut(FIELD_LEN).skip(3)) {
            let refuse = |problem| Error::Field { name, value: value.to_owned(), problem };
            if value.is_empty() {
                return Err(refuse("must not be empty"));
            }
            if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(refuse("must be printable ASCII without spaces"));
            }
            if value.len() > FIELD_LEN {
                return Err(refuse("is longer than 32 bytes"));
            }
            slot.iter_mut().zip(value.bytes()).for_each(|(to, from)| *to = from);
        }
        Ok(footer)
    }
}

impl Request {
    fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, Error> {
        let (mut extension_version, mut duckdb_version, mut platform, mut abi) = (None, None, None, None);
        let mut paths = Vec::new();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let slot = match argument.as_str() {
                "--extension-version" => &mut extension_version,
                "--duckdb-version" => &mut duckdb_version,
                "--platform" => &mut platform,
                "--abi" => &mut abi,
                other if other.starts_with("--") => {
                    return Err(Error::Usage(format!("unknown option {other}")))
                }
                _ => {
                    paths.push(PathBuf::from(argument));
                    continue;
                }
            };
            let Some(value) = arguments.next() else {
                return Err(Error::Usage(format!("{argument} needs a value")));
            };
            if slot.replace(value).is_some() {
                return Err(Error::Usage(format!("{argument} is given twice")));
            }
        }
        let required = |name: &str, value: Option<String>| {
            value.ok_or_else(|| Error::Usage(format!("{name} is missing")))
        };
        let metadata = Metadata {
            extension_version: required("--extension-version", extension_version)?,
            duckdb_version: required("--duckdb-version", duckdb_version)?,
            platform: required("--platform", platform)?,
            abi: required("--abi", abi)?,
        };
        match <[PathBuf; 2]>::try_from(paths) {
            Ok([library, extension]) => Ok(Self { library, extension, metadata }),
            Err(paths) => Err(Error::Usage(format!("expected 2 paths, found {}", paths.len()))),
        }
    }

    fn run(&self) -> Result<(), Error> {
        let footer = self.metadata.footer()?;
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |error: std::io::Error| Error::File { action, path, problem: error.to_string() }
        };
        let mut bytes = fs::read(&self.library).map_err(failed("read", &self.library))?;
        if has_footer(&bytes) {
            return Err(Error::HasFooter(self.library.clone()));
        }
        bytes.extend_from_slice(&footer);

        // A running DuckDB may have the old file mapped: replace it, never write into it.
        // The temporary file is a sibling, because a rename works within one file system only.
        let mut temporary = self.extension.clone().into_os_string();
        temporary.push(format!(".{}.tmp", std::process::id()));
        let temporary = PathBuf::from(temporary);
        fs::write(&temporary, bytes)
            .map_err(failed("write", &temporary))
            .and_then(|()| fs::rename(&temporary, &self.extension).map_err(failed("write", &self.extension)))
            .inspect_err(|_| drop(fs::remove_file(&temporary)))
    }
}

fn has_footer(library: &[u8]) -> bool {
    library.last_chunk::<FOOTER_LEN>().is_some_and(|end| end.starts_with(SECTION_START))
}

fn main() -> ExitCode {
    match Request::parse(std::env::args().skip(1)).and_then(|request| request.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("footer: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        Metadata {
            extension_version: "v0.1.0".into(),
            duckdb_version: "v2.0.0".into(),
            platform: "linux_amd64".into(),
            abi: "C_STRUCT_UNSTABLE".into(),
        }
    }

    fn arguments(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// A directory of its own for one test, removed at the end of it.
    struct Directory(PathBuf);

    impl Directory {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("footer-{test}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn request(&self) -> Request {
            Request {
                library: self.0.join("libx.so"),
                extension: self.0.join("x.duckdb_extension"),
                metadata: metadata(),
            }
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let mut names: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn footer_has_the_documented_bytes() {
        let mut expected = vec![0x00, 0x93, 0x04, 0x10];
        expected.extend(b"duckdb_signature");
        expected.extend([0x80, 0x04]);
        expected.extend([0; 96]);
        expected.extend(b"C_STRUCT_UNSTABLE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        expected.extend(b"v0.1.0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        expected.extend(b"v2.0.0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        expected.extend(b"linux_amd64\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        expected.extend(b"4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        expected.extend([0; 256]);
        assert_eq!(expected.len(), 534);
        assert_eq!(metadata().footer().unwrap().as_slice(), expected);
    }

    #[test]
    fn section_lengths_match_the_layout() {
        let leb128 = |low: u8, high: u8| usize::from(low & 0x7f) | usize::from(high) << 7;
        let fields_and_signature = FIELD_COUNT * FIELD_LEN + SIGNATURE_LEN;
        assert_eq!(leb128(SECTION_START[20], SECTION_START[21]), fields_and_signature);
        assert_eq!(leb128(SECTION_START[1], SECTION_START[2]), FOOTER_LEN - 3);
        assert_eq!(usize::from(SECTION_START[3]), "duckdb_signature".len());
    }

    #[test]
    fn field_of_32_bytes_fits_and_of_33_is_refused() {
        let full = Metadata { platform: "p".repeat(32), ..metadata() };
        assert_eq!(full.footer().unwrap()[214..246], [b'p'; 32]);
        let long = Metadata { platform: "p".repeat(33), ..metadata() };
        let error = long.footer().unwrap_err().to_string();
        assert_eq!(error, format!("--platform \"{}\" is longer than 32 bytes", "p".repeat(33)));
    }

    #[test]
    fn fields_that_duckdb_could_not_match_are_refused() {
        let empty = Metadata { abi: String::new(), ..metadata() };
        assert_eq!(empty.footer().unwrap_err().to_string(), "--abi \"\" must not be empty");
        for value in ["v1 2", "vé", "v1\n", "v1\0"] {
            let odd = Metadata { extension_version: value.into(), ..metadata() };
            let error = odd.footer().unwrap_err().to_string();
            assert!(error.ends_with("must be printable ASCII without spaces"), "{error}");
        }
    }

    #[test]
    fn run_appends_the_footer_and_leaves_nothing_else() {
        let directory = Directory::new("appends");
        let request = directory.request();
        fs::write(&request.library, b"library").unwrap();
        fs::write(&request.extension, b"an older build").unwrap();
        request.run().unwrap();

        let extension = fs::read(&request.extension).unwrap();
        assert_eq!(&extension[..7], b"library");
        assert_eq!(extension[7..], metadata().footer().unwrap());
        assert_eq!(fs::read(&request.library).unwrap(), b"library");
        assert_eq!(directory.names(), ["libx.so", "x.duckdb_extension"]);
    }

    #[test]
    fn run_refuses_a_second_footer() {
        let directory = Directory::new("second");
        let first = directory.request();
        fs::write(&first.library, b"library").unwrap();
        first.run().unwrap();

        let second = Request { library: first.extension, extension: directory.0.join("y"), ..first };
        assert_eq!(second.run(), Err(Error::HasFooter(second.library.clone())));
        assert!(!second.extension.exists());
    }

    #[test]
    fn run_refuses_a_missing_library() {
        let directory = Directory::new("missing");
        let error = directory.request().run().unwrap_err().to_string();
        assert!(error.starts_with("cannot read ") && error.contains("libx.so: "), "{error}");
        assert!(directory.names().is_empty());
    }

    #[test]
    fn failed_run_removes_its_temporary_file() {
        let directory = Directory::new("failed");
        let request = directory.request();
        fs::write(&request.library, b"library").unwrap();
        // A directory that is not empty cannot be replaced by a file.
        fs::create_dir_all(request.extension.join("inside")).unwrap();
        let error = request.run().unwrap_err().to_string();
        assert!(error.starts_with("cannot write "), "{error}");
        assert_eq!(directory.names(), ["libx.so", "x.duckdb_extension"]);
    }

    #[test]
    fn library_shorter_than_a_footer_has_none() {
        assert!(!has_footer(b""));
        assert!(!has_footer(SECTION_START));
        assert!(has_footer(&metadata().footer().unwrap()));
    }

    #[test]
    fn parse_takes_options_in_any_place() {
        let request = Request::parse(arguments(
            "--abi C_STRUCT_UNSTABLE in.so --platform linux_amd64 out \
             --duckdb-version v2.0.0 --extension-version v0.1.0",
        ));
        let expected = Request { library: "in.so".into(), extension: "out".into(), metadata: metadata() };
        assert_eq!(request, Ok(expected));
    }

    #[test]
    fn parse_names_what_is_wrong() {
        let options = "--abi a --platform p --duckdb-version d --extension-version e";
        for (text, problem) in [
            ("in out --abi".to_owned(), "--abi needs a value"),
            ("in out --abi a --abi b".to_owned(), "--abi is given twice"),
            ("in out --colour red".to_owned(), "unknown option --colour"),
            ("in out --abi a --platform p --duckdb-version d".to_owned(), "--extension-version is missing"),
            (format!("in {options}"), "expected 2 paths, found 1"),
            (format!("in out more {options}"), "expected 2 paths, found 3"),
        ] {
            assert_eq!(Request::parse(arguments(&text)), Err(Error::Usage(problem.into())), "{text}");
        }
    }
}
