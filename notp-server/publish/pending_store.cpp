#include "notp-server/publish/pending_store.hpp"

#include <fmt/format.h>

#include "common/assert.hpp"
#include "common/failpoint.hpp"
#include "common/limits.hpp"
#include "common/log.hpp"
#include "common/storage/files.hpp"
#include "common/storage/read_only_disk.hpp"
#include "notp-server/publish/record.hpp"

namespace notp::publish {
namespace {

namespace fs = std::filesystem;

// An envelope in base64, a message that JSON may write as \uXXXX, and names.
constexpr size_t kRecordBytesMax = 2 * limits::kEnvelopeBytesMax + 16 * limits::kErrorTextBytesMax;

constexpr std::string_view kRecord = ".json";
constexpr std::string_view kArtifact = ".artifact";

fs::path record_file(const fs::path& folder, const Hash& hash) {
  return folder / fmt::format("{}{}", hash.hex(), kRecord);
}
fs::path artifact_file(const fs::path& folder, const Hash& hash) {
  return folder / fmt::format("{}{}", hash.hex(), kArtifact);
}

Result<std::vector<fs::path>> list_folder(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    entries.push_back(entry->path());
  if (error)
    return fail(ErrorCode::kIo,
                fmt::format("cannot list {}: {}", folder.string(), error.message()));
  return entries;
}

Result<void> remove_file(const fs::path& file) {
  std::error_code error;
  fs::remove(file, error);
  if (error)
    return fail(ErrorCode::kIo,
                fmt::format("cannot remove {}: {}", file.string(), error.message()));
  return {};
}

// Whether write_file() or add() left the file incomplete: a temporary file, or content without its
// record.
bool is_leftover(const fs::path& file) {
  if (file.filename().string().contains(".new.")) return true;
  std::error_code error;
  return file.extension() == kArtifact &&
         !fs::exists(fs::path(file).replace_extension(kRecord), error) && !error;
}

std::unexpected<Error> not_pending(const model::LedgerId& ledger, const Hash& hash) {
  return fail(ErrorCode::kNotFound,
              fmt::format("no release {} of {} waits for signatures", hash.brief(), ledger.text()));
}

}  // namespace

Result<std::unique_ptr<PendingStore>> PendingStore::open(fs::path folder, PendingLimits limits) {
  // A missing folder holds nothing; a start that can write creates it.
  const bool is_read_only = is_on_read_only_disk(folder.parent_path());
  if (!is_read_only) NOTP_TRY(make_folders(folder));
  if (!is_read_only)
    NOTP_TRY(sync_folder(folder.has_parent_path() ? folder.parent_path() : fs::path(".")));
  std::unique_ptr<PendingStore> store(new PendingStore(std::move(folder), limits));
  NOTP_TRY(store->load());
  return store;
}

fs::path PendingStore::folder_of(const model::LedgerId& ledger) const {
  return folder_ / std::to_string(ledger.zone) / ledger.name;
}

void PendingStore::report(const fs::path& file, Error error) {
  log::write(log::Level::kError, "pending_damaged", error, {{"file", file.string()}});
  damaged_.push_back({file, std::move(error)});
}

Result<void> PendingStore::load() {
  NOTP_ASSIGN(const std::vector<fs::path> zones, list_folder(folder_));
  for (const fs::path& zone : zones) {
    const auto ledgers = list_folder(zone);
    if (!ledgers) {
      report(zone, ledgers.error());
      continue;
    }
    for (const fs::path& folder : *ledgers) {
      const auto ledger = model::LedgerId::parse(
          fmt::format("{}/{}", zone.filename().string(), folder.filename().string()));
      Result<void> loaded;
      if (ledger)
        loaded = load_ledger(*ledger, folder);
      else
        loaded = std::unexpected(ledger.error());
      if (!loaded) report(folder, std::move(loaded).error());
    }
  }
  return {};
}

Result<void> PendingStore::load_ledger(const model::LedgerId& ledger, const fs::path& folder) {
  NOTP_ASSIGN(const std::vector<fs::path> files, list_folder(folder));
  for (const fs::path& file : files) {
    if (file.extension() == kRecord)
      load_record(ledger, file);
    else if (is_leftover(file) && !is_on_read_only_disk(folder))
      NOTP_TRY(remove_file(file));
  }
  return {};
}

void PendingStore::load_record(const model::LedgerId& ledger, const fs::path& file) {
  const auto read = [&]() -> Result<PendingRelease> {
    NOTP_ASSIGN(const Bytes text, read_file(file, kRecordBytesMax));
    NOTP_ASSIGN(PendingRelease release, parse_record(text));
    const fs::path folder = folder_of(ledger);
    if (release.ledger != ledger || record_file(folder, release.release_hash) != file)
      return fail(ErrorCode::kCorrupt, "it is the record of another release");
    std::error_code error;
    const uint64_t bytes = fs::file_size(artifact_file(folder, release.release_hash), error);
    if (error || bytes != release.artifact_bytes)
      return fail(ErrorCode::kCorrupt, "its artifact is missing or cut short");
    return release;
  };
  auto release = read();
  if (!release) {
    Error error = std::move(release).error();
    error.code = ErrorCode::kCorrupt;
    error.message = fmt::format(
        "the pending release in {} is damaged ({}); remove its files, and publish it again",
        file.string(), error.message);
    return report(file, std::move(error));
  }
  remember(*std::move(release));
}

void PendingStore::remember(PendingRelease release) {
  const MutexLock lock(mutex_);
  releases_[release.ledger][release.release_hash] = std::move(release);
}

std::vector<PendingRelease> PendingStore::list(const std::optional<model::LedgerId>& ledger) const {
  const MutexLock lock(mutex_);
  std::vector<PendingRelease> out;
  for (const auto& [id, releases] : releases_) {
    if (ledger && id != *ledger) continue;
    for (const auto& [hash, release] : releases) out.push_back(release);
  }
  return out;
}

std::optional<PendingRelease> PendingStore::find(const model::LedgerId& ledger,
                                                 const Hash& hash) const {
  const MutexLock lock(mutex_);
  const auto releases = releases_.find(ledger);
  if (releases == releases_.end()) return std::nullopt;
  const auto found = releases->second.find(hash);
  return found == releases->second.end() ? std::nullopt : std::optional(found->second);
}

Result<void> PendingStore::make_ledger_folder(const model::LedgerId& ledger) const {
  const fs::path folder = folder_of(ledger);
  NOTP_TRY(make_folders(folder));
  NOTP_TRY(sync_folder(folder.parent_path()));
  return sync_folder(folder_);
}

Result<void> PendingStore::check_room(const PendingRelease& release) const {
  const auto full = [](size_t count, const std::string& whose) {
    return fail(ErrorCode::kLimit,
                fmt::format("{} releases{} wait for signatures, the most there can be: sign or "
                            "drop one of them first",
                            count, whose));
  };
  const auto too_large = [](uint64_t bytes, const std::string& whose, uint64_t bytes_max) {
    return fail(ErrorCode::kLimit,
                fmt::format("releases{} that wait for signatures would hold {} bytes, at most {}: "
                            "sign or drop one of them first",
                            whose, bytes, bytes_max));
  };
  size_t of_ledger = 0, of_publisher = 0, of_all = 0;
  uint64_t publishers_bytes = release.artifact_bytes, bytes = release.artifact_bytes;
  for (const auto& [ledger, releases] : releases_)
    for (const auto& [hash, other] : releases) {
      ++of_all;
      bytes += other.artifact_bytes;
      if (ledger == release.ledger) ++of_ledger;
      if (other.publisher != release.publisher) continue;
      ++of_publisher;
      publishers_bytes += other.artifact_bytes;
    }
  const std::string of = " of ";
  if (of_ledger >= limits::kPendingPerLedgerMax) return full(of_ledger, of + release.ledger.text());
  if (of_publisher >= limits_.releases_per_publisher)
    return full(of_publisher, of + release.publisher);
  if (publishers_bytes > limits_.bytes_per_publisher)
    return too_large(publishers_bytes, of + release.publisher, limits_.bytes_per_publisher);
  if (of_all >= limits_.releases) return full(of_all, " in this registry");
  if (bytes > limits_.bytes) return too_large(bytes, " in this registry", limits_.bytes);
  return {};
}

Result<void> PendingStore::add(PendingRelease release, ByteView artifact) {
  const MutexLock writing(writing_);
  release.artifact_bytes = artifact.size();
  {
    const MutexLock lock(mutex_);
    NOTP_ASSERT(!releases_[release.ledger].contains(release.release_hash), "a release waits once");
    NOTP_TRY(check_room(release));
  }
  release.artifact = sha256(artifact);
  const fs::path folder = folder_of(release.ledger);
  NOTP_TRY(make_ledger_folder(release.ledger));
  NOTP_TRY(write_file(artifact_file(folder, release.release_hash), artifact));
  failpoint("pending.after_artifact");
  NOTP_TRY(write_file(record_file(folder, release.release_hash), record_text(release)));
  failpoint("pending.after_write");
  remember(std::move(release));
  return {};
}

Result<void> PendingStore::set_envelope(const model::LedgerId& ledger, const Hash& hash,
                                        Bytes envelope) {
  const MutexLock writing(writing_);
  auto release = find(ledger, hash);
  if (!release) return not_pending(ledger, hash);
  release->envelope = std::move(envelope);
  NOTP_TRY(write_file(record_file(folder_of(ledger), hash), record_text(*release)));
  failpoint("pending.after_signature");
  remember(*std::move(release));
  return {};
}

Result<Bytes> PendingStore::artifact(const model::LedgerId& ledger, const Hash& hash) const {
  const auto release = find(ledger, hash);
  if (!release) return not_pending(ledger, hash);
  const fs::path file = artifact_file(folder_of(ledger), hash);
  auto bytes = read_file(file, limits::kArtifactBytesMax);
  // It may have been dropped meanwhile.
  if (!bytes && !find(ledger, hash)) return not_pending(ledger, hash);
  if (!bytes || sha256(*bytes) != release->artifact)
    return fail(ErrorCode::kCorrupt,
                fmt::format("the pending artifact {} is damaged{}; drop the release, and publish "
                            "it again",
                            file.string(), bytes ? "" : " (" + bytes.error().message + ")"));
  return bytes;
}

Result<void> PendingStore::drop(const model::LedgerId& ledger, const Hash& hash) {
  const MutexLock writing(writing_);
  if (!find(ledger, hash)) return not_pending(ledger, hash);
  const fs::path folder = folder_of(ledger);
  NOTP_TRY(remove_file(record_file(folder, hash)));
  NOTP_TRY(sync_folder(folder));
  failpoint("pending.after_drop");
  {
    const MutexLock lock(mutex_);
    releases_[ledger].erase(hash);
  }
  return remove_file(artifact_file(folder, hash));
}

}  // namespace notp::publish
