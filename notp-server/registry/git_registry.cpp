#include "notp-server/registry/git_registry.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <tuple>

#include "common/limits.hpp"
#include "common/log.hpp"
#include "common/storage/files.hpp"
#include "common/storage/read_only_disk.hpp"
#include "notp-server/registry/git_ledger.hpp"
#include "notp-server/registry/git_library.hpp"
#include "notp-server/registry/git_text.hpp"
#include "notp-server/registry/registry_lock.hpp"

namespace notp::registry {
namespace {

namespace fs = std::filesystem;

std::unexpected<Error> no_ledger(const model::LedgerId& id) {
  return fail(ErrorCode::kNotFound, fmt::format("there is no ledger {}", id.text()));
}

// Checks that the fields of a release agree, before it is written.
Result<void> check_release(const NewRelease& release) {
  NOTP_TRY(release.ref.ledger.check());
  NOTP_TRY(check_publisher(release.publisher));
  const trust::Release& statement = release.release;
  if (statement.ledger != release.ref.ledger)
    return fail(ErrorCode::kWrongTarget,
                fmt::format("the release is of {}, not of {}", statement.ledger.text(),
                            release.ref.ledger.text()));
  if (statement.issued_ms < 0 || statement.issued_ms > kTimeTextMaxMs)
    return fail(ErrorCode::kStatement, "the release was issued outside the years 1970 to 9999");
  const model::Tree& tree = *release.content.tree;
  if (tree.content_root() != statement.content_root ||
      tree.total_bytes() != statement.total_bytes || tree.files().size() != statement.file_count)
    return fail(
        ErrorCode::kContentRoot,
        fmt::format("the content has the root {} ({} files, {} bytes), but the release says "
                    "{} ({} files, {} bytes)",
                    tree.content_root().brief(), tree.files().size(), tree.total_bytes(),
                    statement.content_root.brief(), statement.file_count, statement.total_bytes));
  if (release.ref != trust::ref_of(statement, release.ref.release_hash))
    return fail(ErrorCode::kStatement,
                fmt::format("{} v{} is not the release that its reference names",
                            statement.ledger.text(), statement.version));
  return {};
}

Result<std::vector<fs::directory_entry>> list(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::directory_entry> entries;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    entries.push_back(*it);
  if (error)
    return fail(ErrorCode::kIo,
                fmt::format("cannot list {}: {}", folder.string(), error.message()));
  return entries;
}

// Returns a descriptor that holds the lock; none on a read-only disk.
Result<Descriptor> take_lock(const fs::path& data) {
  NOTP_ASSIGN(RegistryLock lock, try_registry_lock(data));
  if (lock.is_running)
    return fail(ErrorCode::kIo,
                fmt::format("{} is locked: another registry uses this data folder; stop it, or "
                            "give this one a folder of its own",
                            (data / kLockFile).string()));
  if (!lock.file.is_open()) return Descriptor();
  // For an operator, or a backup, that sends it a signal.
  const int fd = lock.file.get();
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(fd, 0) == 0 &&
      ::pwrite(fd, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
    std::ignore = ::ftruncate(fd, 0);
  return std::move(lock.file);
}

}  // namespace

GitRegistry::GitRegistry(fs::path ledgers, Descriptor lock, uint64_t snapshot_bytes)
    : folder_(std::move(ledgers)), lock_(std::move(lock)), snapshots_(snapshot_bytes) {}

GitRegistry::~GitRegistry() = default;

Result<std::unique_ptr<GitRegistry>> GitRegistry::open(const fs::path& data,
                                                       uint64_t snapshot_bytes) {
  NOTP_TRY(start_git_library());
  NOTP_TRY(make_folders(data / "ledgers"));
  NOTP_ASSIGN(Descriptor lock, take_lock(data));
  std::unique_ptr<GitRegistry> registry(
      new GitRegistry(data / "ledgers", std::move(lock), snapshot_bytes));
  NOTP_TRY(registry->load_all());
  return registry;
}

Result<void> GitRegistry::load_all() {
  const WriterLock lock(mutex_);
  NOTP_ASSIGN(const std::vector<fs::directory_entry> zones, list(folder_));
  for (const fs::directory_entry& zone : zones) NOTP_TRY(load_zone(zone.path()));
  return {};
}

Result<void> GitRegistry::load_zone(const fs::path& zone) {
  NOTP_ASSIGN(const std::vector<fs::directory_entry> entries, list(zone));
  for (const fs::directory_entry& entry : entries) {
    const fs::path& path = entry.path();
    std::error_code error;
    // A repository under construction, which never held a release. A ledger's own folder ends in
    // .git.
    if (path.extension() == ".new" && !is_on_read_only_disk(folder_)) fs::remove_all(path, error);
    if (error)
      return fail(ErrorCode::kIo,
                  fmt::format("cannot remove {}: {}", path.string(), error.message()));
    if (path.extension() != ".git") continue;
    const auto id = model::LedgerId::parse(
        fmt::format("{}/{}", zone.filename().string(), path.stem().string()));
    if (id)
      load_ledger(*id, path);
    else
      log::write(log::Level::kWarn, "not_a_ledger", id.error(), {{"folder", path.string()}});
  }
  return {};
}

void GitRegistry::load_ledger(const model::LedgerId& id, const fs::path& folder) {
  auto ledger = std::make_unique<GitLedger>(id, folder, snapshots_);
  if (auto loaded = ledger->load(); !loaded) damaged_.push_back({id, std::move(loaded).error()});
  ledgers_.emplace(id, std::move(ledger));
}

GitLedger* GitRegistry::find(const model::LedgerId& id) const {
  const ReaderLock lock(mutex_);
  const auto found = ledgers_.find(id);
  return found == ledgers_.end() ? nullptr : found->second.get();
}

Result<GitLedger*> GitRegistry::find_or_add(const model::LedgerId& id) {
  if (GitLedger* ledger = find(id)) return ledger;
  const WriterLock lock(mutex_);
  auto found = ledgers_.find(id);
  if (found == ledgers_.end()) {
    if (ledgers_.size() >= limits::kLedgersMax)
      return fail(ErrorCode::kLimit,
                  fmt::format("the registry holds {} ledgers, the most it can: {} is not added",
                              ledgers_.size(), id.text()));
    auto ledger = std::make_unique<GitLedger>(
        id, folder_ / std::to_string(id.zone) / (id.name + ".git"), snapshots_);
    // A repository may have been put there since the start: it is read, never begun anew.
    if (auto loaded = ledger->load(); !loaded) {
      log::write(log::Level::kError, "ledger_damaged", loaded.error(), {{"ledger", id.text()}});
      damaged_.push_back({id, std::move(loaded).error()});
    }
    found = ledgers_.emplace(id, std::move(ledger)).first;
  }
  return found->second.get();
}

std::vector<model::LedgerId> GitRegistry::ledgers() const {
  const ReaderLock lock(mutex_);
  std::vector<model::LedgerId> ids;
  for (const auto& [id, ledger] : ledgers_)
    if (ledger->head()) ids.push_back(id);
  return ids;
}

std::vector<LedgerDamage> GitRegistry::damaged() const {
  const ReaderLock lock(mutex_);
  return damaged_;
}

std::optional<Error> GitRegistry::damage(const model::LedgerId& ledger) const {
  const GitLedger* found = find(ledger);
  return found ? found->damage() : std::nullopt;
}

ReleaseInfoPtr GitRegistry::head(const model::LedgerId& ledger) const {
  const GitLedger* found = find(ledger);
  return found ? found->head() : nullptr;
}

Result<ReleaseInfoPtr> GitRegistry::info(const model::LedgerId& ledger, uint64_t version) const {
  const GitLedger* found = find(ledger);
  return found ? found->info(version) : no_ledger(ledger);
}

Result<SnapshotPtr> GitRegistry::snapshot(const model::LedgerId& ledger, uint64_t version) {
  GitLedger* found = find(ledger);
  return found ? found->snapshot(version) : no_ledger(ledger);
}

std::vector<std::pair<uint64_t, model::TreePtr>> GitRegistry::recent_trees(
    const model::LedgerId& ledger) const {
  const GitLedger* found = find(ledger);
  return found ? found->recent_trees() : std::vector<std::pair<uint64_t, model::TreePtr>>();
}

Result<std::vector<ReleaseInfoPtr>> GitRegistry::history(const model::LedgerId& ledger,
                                                         uint64_t below_version,
                                                         size_t rows_max) const {
  const GitLedger* found = find(ledger);
  return found ? found->history(below_version, rows_max) : no_ledger(ledger);
}

Result<SnapshotPtr> GitRegistry::publish(NewRelease release) {
  NOTP_TRY(check_release(release));
  NOTP_ASSIGN(GitLedger * ledger, find_or_add(release.ref.ledger));
  return ledger->publish(std::move(release));
}

Result<ReleaseInfoPtr> GitRegistry::withdraw(const model::LedgerId& ledger, uint64_t version,
                                             std::string_view reason, std::string_view identity,
                                             TimeMs now_ms) {
  GitLedger* found = find(ledger);
  if (found == nullptr) return no_ledger(ledger);
  NOTP_ASSIGN(const Withdrawal withdrawal, make_withdrawal(reason, identity, now_ms));
  return found->withdraw(version, withdrawal, now_ms);
}

std::vector<Hash> GitRegistry::withdrawn(const model::LedgerId& ledger) const {
  const GitLedger* found = find(ledger);
  return found ? found->withdrawn() : std::vector<Hash>{};
}

}  // namespace notp::registry
