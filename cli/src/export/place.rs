//! The new folder of an export. Where the export fails or is called off (Ctrl-C), what it wrote is taken away again, so that no part
//! of a model is mistaken for one.

use super::refuse_full;
use crate::interrupt::on_interrupt;
use crate::screen::say;
use lorakeet_core::error::{Error, Result};
use lorakeet_core::store::{DirectorySink, LocalFuture, Pieces, Sink, StreamSink};
use lorakeet_i18n::messages::export as msg;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder, claimed for this program alone.
pub struct ExportPlace {
    sink: DirectorySink,
    folder: PathBuf,
    /// Whether it was there before.
    is_old: bool,
    is_stopped: Box<dyn Fn() -> bool>,
}

impl ExportPlace {
    /// Claims `folder`, which must be new or empty, and listens for Ctrl-C.
    ///
    /// # Errors
    /// It holds files, another program writes into it, or storage refuses.
    pub fn claim(folder: &Path) -> Result<Self> {
        refuse_full(folder)?;
        let is_old = folder.exists();
        let is_stopped =
            on_interrupt(|| say("\nstopping the export; Ctrl-C again ends at once and leaves what is written"))?;
        Ok(Self {
            sink: DirectorySink::claim(folder)?,
            folder: folder.to_path_buf(),
            is_old,
            is_stopped: Box::new(is_stopped),
        })
    }

    /// Whether Ctrl-C was pressed.
    pub fn is_stopped(&self) -> bool {
        (self.is_stopped)()
    }

    /// What became of an export: where it failed, its files are removed, which is said.
    ///
    /// # Errors
    /// That of the export.
    pub fn settled<T>(&self, written: Result<T>) -> Result<T> {
        let error = match written {
            Ok(written) => return Ok(written),
            Err(error) => error,
        };
        let shown = self.folder.display();
        match self.clear() {
            Ok(0) => {}
            Ok(files) => say(&format!(
                "note     removed the {files} files of the incomplete export from {shown}"
            )),
            Err(why) => say(&format!(
                "note     {shown} holds an incomplete export, which could not be removed: {why}"
            )),
        }
        Err(error)
    }

    /// Removes what is in the folder, and the folder if it is new; gives how many files of the export there were.
    fn clear(&self) -> std::io::Result<usize> {
        let mut files = 0;
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let is_own = entry.file_name().to_string_lossy().starts_with(".lorakeet");
            if is_own && self.is_old {
                continue;
            }
            files += usize::from(!is_own);
            match entry.file_type()?.is_dir() {
                true => fs::remove_dir_all(entry.path())?,
                false => fs::remove_file(entry.path())?,
            }
        }
        match self.is_old {
            true => Ok(files),
            false => fs::remove_dir(&self.folder).map(|()| files),
        }
    }

    fn check(&self) -> Result<()> {
        match self.is_stopped() {
            true => Err(Error::stopped(msg::ExportCalledOff)),
            false => Ok(()),
        }
    }
}

impl Sink for ExportPlace {
    fn write<'a>(&'a self, path: &'a str, bytes: &'a [u8]) -> LocalFuture<'a, Result<()>> {
        match self.check() {
            Ok(()) => self.sink.write(path, bytes),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
    fn folders(&self) -> LocalFuture<'_, Result<Vec<String>>> {
        self.sink.folders()
    }
    fn remove_folder<'a>(&'a self, path: &'a str) -> LocalFuture<'a, Result<()>> {
        self.sink.remove_folder(path)
    }
    fn rename_folder<'a>(&'a self, from: &'a str, to: &'a str) -> LocalFuture<'a, Result<()>> {
        self.sink.rename_folder(from, to)
    }
}

impl StreamSink for ExportPlace {
    fn create<'a>(&'a self, path: &'a str) -> LocalFuture<'a, Result<Box<dyn Pieces + 'a>>> {
        Box::pin(async move {
            let pieces = self.sink.create(path).await?;
            Ok(Box::new(Watched { pieces, place: self }) as Box<dyn Pieces + 'a>)
        })
    }
}

/// A file that grows until Ctrl-C is pressed.
struct Watched<'a> {
    pieces: Box<dyn Pieces + 'a>,
    place: &'a ExportPlace,
}

impl Pieces for Watched<'_> {
    fn append<'a>(&'a mut self, bytes: &'a [u8]) -> LocalFuture<'a, Result<()>> {
        match self.place.check() {
            Ok(()) => self.pieces.append(bytes),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
    fn finish(&mut self) -> LocalFuture<'_, Result<()>> {
        self.pieces.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::block_on;
    use lorakeet_core::error::Kind;
    use std::cell::Cell;
    use std::rc::Rc;

    /// A place in a folder of its own, and what stops it.
    fn place(name: &str, is_old: bool) -> (ExportPlace, Rc<Cell<bool>>) {
        let folder = std::env::temp_dir().join(format!("lorakeet-place-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let stop = Rc::new(Cell::new(false));
        let seen = stop.clone();
        let place = ExportPlace {
            sink: DirectorySink::claim(&folder).expect("a folder"),
            folder,
            is_old,
            is_stopped: Box::new(move || seen.get()),
        };
        (place, stop)
    }

    #[test]
    fn what_was_called_off_is_taken_away() {
        for is_old in [false, true] {
            let (place, stop) = place(if is_old { "old" } else { "new" }, is_old);
            let written = block_on(async {
                place.write("config.json", b"{}").await?;
                let mut file = place.create("model.safetensors").await?;
                file.append(b"numbers").await?;
                stop.set(true);
                file.append(b"more").await
            });
            let error = place.settled(written).expect_err("it was called off");
            assert_eq!(error.kind, Kind::Stopped);
            assert_eq!(place.folder.exists(), is_old);
            assert!(!place.folder.join("config.json").exists());
            let _ = fs::remove_dir_all(&place.folder);
        }
    }

    #[test]
    fn what_is_complete_stays() {
        let (place, _) = place("whole", false);
        let written = block_on(place.write("config.json", b"{}"));
        place.settled(written).expect("it is written");
        assert!(place.folder.join("config.json").exists());
        let _ = fs::remove_dir_all(&place.folder);
    }
}
