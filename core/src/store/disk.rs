//! Files and folders on disk: read in slices, written whole, one writer a folder.

use super::{LocalFuture, Pieces, ReadAt, Sink, Source, StreamSink, check_relative, slice_bounds};
use crate::{Error, Result};
use lorakeet_i18n::messages::{common, formats as msg};
use lorakeet_i18n::{Field, Message};
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// A file on disk. It is open only while it is read: a folder may hold more files than a process may hold open.
#[derive(Debug)]
pub struct DiskFile {
    name: String,
    path: PathBuf,
    len_bytes: u64,
    modified: Option<SystemTime>,
}

impl DiskFile {
    /// Finds the file at `path`.
    ///
    /// # Errors
    /// There is no such file, it is a folder, a pipe or a device, or it may not be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let failed = |error: std::io::Error| describe(path, msg::CannotOpen, &error);
        // Asked before it is opened: whoever opens a pipe waits for its other end.
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if metadata.is_dir() {
            return Err(Error::io(msg::IsAFolder).file(path.display().to_string()));
        }
        if !metadata.is_file() {
            return Err(Error::io(msg::IsAPipe)
                .file(path.display().to_string())
                .remedy(msg::WriteIntoFile));
        }
        let metadata = File::open(path).and_then(|file| file.metadata()).map_err(failed)?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(Self {
            name: name.unwrap_or_else(|| path.display().to_string()),
            path: path.to_path_buf(),
            len_bytes: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }

    /// The same as a [`Source`].
    ///
    /// # Errors
    /// As [`DiskFile::open`].
    pub fn source(path: impl AsRef<Path>) -> Result<Source> {
        Ok(Rc::new(Self::open(path)?))
    }

    /// Refuses what took the file's place since it was found.
    fn check(&self, metadata: &Metadata) -> Result<()> {
        if (metadata.len(), metadata.modified().ok()) == (self.len_bytes, self.modified) {
            return Ok(());
        }
        Err(Error::io(msg::ChangedWhileRead)
            .file(self.path.display().to_string())
            .remedy(msg::LeaveFilesAlone))
    }
}

impl ReadAt for DiskFile {
    fn name(&self) -> &str {
        &self.name
    }
    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }
    fn read_at(&self, offset: u64, len: usize) -> LocalFuture<'_, Result<Vec<u8>>> {
        Box::pin(async move {
            slice_bounds(&self.name, self.len_bytes, offset, len)?;
            let failed = |error: std::io::Error| describe(&self.path, msg::CannotRead, &error);
            let mut file = File::open(&self.path).map_err(failed)?;
            self.check(&file.metadata().map_err(failed)?)?;
            let mut bytes = vec![0; len];
            file.seek(SeekFrom::Start(offset)).map_err(failed)?;
            file.read_exact(&mut bytes).map_err(failed)?;
            Ok(bytes)
        })
    }
}

/// Whoever holds a lock on it is the one who writes into the folder. It stays: another may wait for it under this name.
const LOCK: &str = ".lorakeet.lock";

/// How often and how long a lock is waited for: who looks whether somebody writes has it for a moment.
const TRIES: usize = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// The longest lock file that is read.
const MOST_LOCK_BYTES: u64 = 1024;

/// Tells apart what this process writes at a time.
static PARTS: AtomicU64 = AtomicU64::new(0);

/// A folder on disk. Files appear under their final name only when they are complete.
#[derive(Debug, Clone)]
pub struct DirectorySink {
    root: PathBuf,
    /// The system gives the lock up with the last clone, or with the process.
    _lock: Option<Rc<File>>,
}

impl DirectorySink {
    /// The folder `root`, made when the first file is written.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            _lock: None,
        }
    }

    /// The folder `root`, made at once, for one writer alone: nobody else can claim it while this sink or a clone of it
    /// lives. What an earlier writer left half-written is removed.
    ///
    /// # Errors
    /// Another one has claimed it, or storage refuses.
    pub fn claim(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        let failed = |error: std::io::Error| describe(&root, msg::CannotWrite, &error);
        std::fs::create_dir_all(&root).map_err(failed)?;
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false).open(root.join(LOCK));
        let mut lock = lock.map_err(failed)?;
        match locked(&lock) {
            // Who it is only serves a message.
            Ok(()) => {
                let _ = lock
                    .set_len(0)
                    .and_then(|()| lock.write_all(Writer::this().line().as_bytes()));
            }
            // Some network drives know no locks; there, unique names have to do.
            Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Writer::read(&root).refusal(&root));
            }
        }
        for entry in std::fs::read_dir(&root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name().to_str().is_some_and(is_part) && !entry.path().is_dir() {
                std::fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        Ok(Self {
            root,
            _lock: Some(Rc::new(lock)),
        })
    }

    /// Whether anybody ever claimed the folder `root`.
    pub fn has_lock(root: &Path) -> bool {
        root.join(LOCK).is_file()
    }

    /// Who writes into the folder `root` now; none where nobody does, or no lock tells.
    pub fn writer(root: &Path) -> Option<Writer> {
        let lock = File::open(root.join(LOCK)).ok()?;
        match lock.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(Writer::read(root)),
            Ok(()) | Err(TryLockError::Error(_)) => None,
        }
    }

    fn write_now(&self, path: &str, bytes: &[u8]) -> Result<()> {
        check_relative(path)?;
        let mut pieces = DiskPieces::begin(self.root.join(path))?;
        pieces.write(bytes)?;
        pieces.put_in_place()
    }
}

/// Takes the lock, if nobody has it for longer than a look takes.
fn locked(lock: &File) -> Result<(), TryLockError> {
    for _ in 1..TRIES {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(BETWEEN_TRIES),
            taken => return taken,
        }
    }
    lock.try_lock()
}

/// Who writes into a folder, as far as its lock file tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Writer {
    /// The number of its process.
    pub process: Option<u32>,
    /// The machine that it runs on.
    pub host: Option<String>,
}

impl Writer {
    fn this() -> Self {
        Self {
            process: Some(std::process::id()),
            host: host_name(),
        }
    }

    /// `4711 workstation`.
    fn line(&self) -> String {
        let process = self.process.map(|process| process.to_string()).unwrap_or_default();
        format!("{process} {}\n", self.host.as_deref().unwrap_or_default())
    }

    /// What [`Writer::line`] left in the folder `root`.
    fn read(root: &Path) -> Self {
        let mut text = String::new();
        let read = File::open(root.join(LOCK)).and_then(|lock| lock.take(MOST_LOCK_BYTES).read_to_string(&mut text));
        if read.is_err() {
            return Self::default();
        }
        let mut words = text.split_whitespace();
        Self {
            process: words.next().and_then(|process| process.parse().ok()),
            host: words.next().map(str::to_owned),
        }
    }

    /// The error for another one that wants the folder `root`.
    pub fn refusal(&self, root: &Path) -> Error {
        let error = Error::io(self.in_use()).file(root.display().to_string());
        error.remedy(msg::ChooseAnotherOrWait)
    }

    /// That it writes into a folder.
    pub fn in_use(&self) -> Message {
        match (self.process, &self.host) {
            (Some(process), Some(host)) => msg::FolderInUseOnHost { process, host }.into(),
            (Some(process), None) => msg::FolderInUseBy { process }.into(),
            (None, _) => msg::FolderInUse.into(),
        }
    }
}

/// What the system calls this machine.
fn host_name() -> Option<String> {
    let of_system = ["/proc/sys/kernel/hostname", "/etc/hostname"].map(|file| std::fs::read_to_string(file).ok());
    let of_environment = ["COMPUTERNAME", "HOSTNAME"].map(|name| std::env::var(name).ok());
    let names = of_system.into_iter().chain(of_environment).flatten();
    let first_word = |name: String| name.split_whitespace().next().map(str::to_owned);
    names.filter_map(first_word).next()
}

impl StreamSink for DirectorySink {
    fn create<'a>(&'a self, path: &'a str) -> LocalFuture<'a, Result<Box<dyn Pieces + 'a>>> {
        Box::pin(async move {
            check_relative(path)?;
            Ok(Box::new(DiskPieces::begin(self.root.join(path))?) as Box<dyn Pieces + 'a>)
        })
    }
}

/// A file on disk that has another name until it is finished.
struct DiskPieces {
    target: PathBuf,
    part: PathBuf,
    file: File,
    is_finished: bool,
}

impl DiskPieces {
    fn begin(target: PathBuf) -> Result<Self> {
        let failed = |error: std::io::Error| describe(&target, msg::CannotWrite, &error);
        std::fs::create_dir_all(target.parent().unwrap_or(Path::new(""))).map_err(failed)?;
        let (part, file) = new_part(&target).map_err(failed)?;
        Ok(Self {
            target,
            part,
            file,
            is_finished: false,
        })
    }

    fn failed(&self, error: &std::io::Error) -> Error {
        describe(&self.target, msg::CannotWrite, error)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| self.failed(&error))
    }

    fn put_in_place(&mut self) -> Result<()> {
        let folder = self.target.parent().unwrap_or(Path::new(""));
        let placed = self
            .file
            .sync_all()
            .and_then(|()| std::fs::rename(&self.part, &self.target))
            .and_then(|()| sync_folder(folder));
        placed.map_err(|error| self.failed(&error))?;
        self.is_finished = true;
        Ok(())
    }
}

impl Pieces for DiskPieces {
    fn append<'a>(&'a mut self, bytes: &'a [u8]) -> LocalFuture<'a, Result<()>> {
        let written = self.write(bytes);
        Box::pin(std::future::ready(written))
    }
    fn finish(&mut self) -> LocalFuture<'_, Result<()>> {
        let placed = self.put_in_place();
        Box::pin(std::future::ready(placed))
    }
}

impl Drop for DiskPieces {
    fn drop(&mut self) {
        if !self.is_finished {
            // The write's own error is the one to report; what is left is removed when the folder is next claimed.
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

impl Sink for DirectorySink {
    fn write<'a>(&'a self, path: &'a str, bytes: &'a [u8]) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move { self.write_now(path, bytes) })
    }
    fn folders(&self) -> LocalFuture<'_, Result<Vec<String>>> {
        Box::pin(async move {
            let failed = |error: std::io::Error| describe(&self.root, msg::CannotRead, &error);
            let entries = match std::fs::read_dir(&self.root) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
                entries => entries.map_err(failed)?,
            };
            let mut folders = Vec::new();
            for entry in entries {
                let entry = entry.map_err(failed)?;
                // A link to a folder is not one, and a name that is no text is not one of ours.
                if entry.file_type().map_err(failed)?.is_dir() {
                    folders.extend(entry.file_name().into_string().ok());
                }
            }
            Ok(folders)
        })
    }
    fn remove_folder<'a>(&'a self, path: &'a str) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            check_relative(path)?;
            let target = self.root.join(path);
            std::fs::remove_dir_all(&target).map_err(|error| describe(&target, msg::CannotRemove, &error))
        })
    }
    fn rename_folder<'a>(&'a self, from: &'a str, to: &'a str) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            check_relative(from)?;
            check_relative(to)?;
            let (from, to) = (self.root.join(from), self.root.join(to));
            let failed = |error: std::io::Error| describe(&from, msg::CannotRename, &error);
            // An empty folder would give way.
            if std::fs::symlink_metadata(&to).is_ok() {
                return Err(failed(ErrorKind::AlreadyExists.into()));
            }
            // Without this the name might outlive a power cut, and what it names might not.
            sync_folder(&from)
                .and_then(|()| std::fs::rename(&from, &to))
                .and_then(|()| sync_folder(&self.root))
                .map_err(failed)
        })
    }
}

/// A new file beside `target`, under a name that no other process and no other write takes. What is there already, such as
/// a link to somewhere else, is never opened.
fn new_part(target: &Path) -> std::io::Result<(PathBuf, File)> {
    loop {
        let mut name = target.file_name().unwrap_or_default().to_os_string();
        let count = PARTS.fetch_add(1, Ordering::Relaxed);
        name.push(format!(".{}-{count}.part", std::process::id()));
        let part = target.with_file_name(name);
        match OpenOptions::new().write(true).create_new(true).open(&part) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            opened => return opened.map(|file| (part, file)),
        }
    }
}

/// Whether a file is one of [`new_part`]'s: `NAME.PROCESS-COUNT.part`.
fn is_part(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = name
        .strip_suffix(".part")
        .and_then(|name| name.rsplit_once('.'))
        .and_then(|(_, numbers)| numbers.split_once('-'));
    numbers.is_some_and(|(process, count)| is_number(process) && is_number(count))
}

/// Has the names in a folder survive a power cut, where the system lets a folder be opened.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder)?.sync_all() {
        // Some network drives cannot.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// The error for a refusal of the file system.
fn describe(path: &Path, what: impl Into<Field>, error: &std::io::Error) -> Error {
    let (why, remedy): (Field, Option<Message>) = match error.kind() {
        ErrorKind::NotFound => (msg::NoSuchFile.into(), Some(msg::CheckPath.into())),
        ErrorKind::PermissionDenied => (msg::PermissionDenied.into(), Some(msg::CheckPermissions.into())),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => (msg::DiskFull.into(), Some(msg::FreeSpace.into())),
        ErrorKind::ReadOnlyFilesystem => (msg::DiskReadOnly.into(), Some(msg::ChooseAnotherFolder.into())),
        ErrorKind::UnexpectedEof => (msg::BecameShorter.into(), Some(msg::LeaveFilesAlone.into())),
        _ => (error.into(), None),
    };
    let described = Error::io(common::At { place: what, what: why }).file(path.display().to_string());
    Error { remedy, ..described }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_called_so() {
        let error = describe(Path::new("out/x"), msg::CannotWrite, &ErrorKind::StorageFull.into());
        assert!(error.to_string().contains("the disk is full"), "{error}");
    }

    #[test]
    fn only_what_was_written_here_is_taken_for_half_written() {
        assert!(is_part("model.safetensors.12-0.part"));
        for other in [
            "film.part",
            "film.1.part",
            "film.-1.part",
            "film.1-.part",
            "12-0.part.gz",
        ] {
            assert!(!is_part(other), "{other}");
        }
    }
}
