#include "notp-server/backup/backup_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "common/size_text.hpp"
#include "notp-server/backup/database_files.hpp"
#include "notp-server/backup/release_check.hpp"
#include "notp-server/registry/repository_check.hpp"
#include "notp-server/trust/root_store.hpp"
#include "protocol/trust/envelope.hpp"

namespace notp::backup {
namespace {

namespace fs = std::filesystem;

std::unexpected<Error> damaged(const std::string& path, std::string_view what) {
  return fail(ErrorCode::kCorrupt, fmt::format("{}: {}; use another backup", path, what));
}

// --- files

// A restore writes nothing into a data folder but stores and what is in them.
bool is_of_store(const std::string& path) {
  const std::string_view first = std::string_view(path).substr(0, path.find('/'));
  const auto is_first = [&](std::string_view name) { return first == name; };
  if (first.size() == path.size())
    return std::ranges::any_of(std::array{kFleetFile, kJoinTokensFile}, is_first);
  return std::ranges::any_of(std::array{kPending, kLedgers, kRoots, kAudit, kLanes, kConfigured},
                             is_first);
}

Result<void> check_names(const fs::path& folder, const Manifest& manifest) {
  NOTP_ASSIGN(const std::vector<std::string> present, files_below(folder));
  for (const auto& [path, facts] : manifest.files) {
    if (!is_of_store(path)) return damaged(printable(path), "no registry backs up such a file");
    if (!std::ranges::binary_search(present, path)) return damaged(path, "the file is missing");
  }
  for (const std::string& path : present)
    if (path != kManifestFile && !manifest.files.contains(path))
      return fail(ErrorCode::kCorrupt,
                  fmt::format("{}: the file is not of this backup: find out who put it there, and "
                              "remove it",
                              path));
  return {};
}

Result<void> check_files(const fs::path& folder, const Manifest& manifest, const Say& say) {
  NOTP_TRY(check_names(folder, manifest));
  say(fmt::format("{} files, {}", manifest.files.size(), size_text(manifest.bytes())));
  for (const auto& [path, facts] : manifest.files) {
    NOTP_ASSIGN(const FileFacts found, hash_file(folder / path));
    if (found.bytes != facts.bytes)
      return damaged(path,
                     fmt::format("it has {} bytes, written were {}", found.bytes, facts.bytes));
    if (found.sha256 != facts.sha256)
      return damaged(path, fmt::format("its content has changed: SHA-256 {}, written was {}",
                                       found.sha256.brief(), facts.sha256.brief()));
  }
  return {};
}

// --- roots

Result<RootChain> read_roots(const fs::path& folder, const Manifest& manifest) {
  const fs::path roots = folder / kRoots;
  const fs::path newest = roots / fmt::format("{}.envelope", manifest.root_version);
  if (!manifest.files.contains(newest.lexically_relative(folder).generic_string()))
    return damaged(newest.lexically_relative(folder).generic_string(), "the root is missing");
  NOTP_ASSIGN(const auto store,
              trust::RootStore::open(roots, newest, manifest.trust_domain, manifest.made_ms));
  if (store->newest() != manifest.root_version)
    return damaged(kRoots, fmt::format("the newest root is v{}, not v{}", store->newest(),
                                       manifest.root_version));
  RootChain chain;
  for (uint64_t version = 0; version < store->newest();) {
    for (const session::CatalogRoot& root : store->after(version)) {
      NOTP_ASSIGN(const trust::Envelope envelope, trust::Envelope::decode(*root.envelope));
      NOTP_ASSIGN(trust::Root decoded, trust::Root::decode(envelope.payload));
      version = decoded.version;
      chain.push_back(std::make_shared<const trust::Root>(std::move(decoded)));
    }
  }
  return chain;
}

// --- ledgers

// Repositories that the manifest does not name as ledgers would be served, too.
Result<void> check_ledger_names(const Manifest& manifest) {
  std::set<std::string> named;
  for (const LedgerHead& head : manifest.ledgers) named.insert(repository_path(head.ledger));
  const std::string below = fmt::format("{}/", kLedgers);
  for (auto at = manifest.files.lower_bound(below);
       at != manifest.files.end() && at->first.starts_with(below); ++at) {
    const size_t zone = at->first.find('/', below.size());
    const size_t end = zone == std::string::npos ? zone : at->first.find('/', zone + 1);
    if (!named.contains(at->first.substr(0, end)))
      return damaged(at->first, "it is of a ledger that the manifest does not name");
  }
  return {};
}

Result<void> check_ledger(const fs::path& folder, const LedgerHead& head, const RootChain& roots) {
  NOTP_ASSIGN(const std::vector<registry::ReleaseInfo> releases,
              registry::check_repository(folder, head.ledger));
  const LedgerHead found = releases.empty() ? LedgerHead{head.ledger, 0, {}}
                                            : LedgerHead{head.ledger, releases.back().ref.version,
                                                         releases.back().ref.release_hash};
  if (found != head)
    return fail(ErrorCode::kCorrupt,
                fmt::format("it ends with v{} {}, not with v{} {}", found.version,
                            found.release_hash.brief(), head.version, head.release_hash.brief()));
  return check_signatures(releases, roots);
}

Result<void> check_ledgers(const fs::path& folder, const Manifest& manifest, const RootChain& roots,
                           const Say& say) {
  NOTP_TRY(check_ledger_names(manifest));
  for (const LedgerHead& head : manifest.ledgers) {
    say(fmt::format("ledger {}, v{}", head.ledger.text(), head.version));
    const std::string path = repository_path(head.ledger);
    auto checked = check_ledger(folder / path, head, roots);
    if (!checked) return std::unexpected(std::move(checked).error().in(path));
  }
  return {};
}

// --- databases

Result<void> check_databases(const fs::path& folder, const Manifest& manifest, const Say& say) {
  say("databases");
  for (const auto& [path, facts] : manifest.files)
    if (path.ends_with(".db") && !path.starts_with(kConfigured))
      if (const auto healthy = check_database(folder / path); !healthy)
        return damaged(path, healthy.error().message);
  return {};
}

}  // namespace

Result<void> check_stores(const fs::path& folder, const Manifest& manifest, const Say& say) {
  auto roots = read_roots(folder, manifest);
  if (!roots) return std::unexpected(std::move(roots).error().in(kRoots));
  NOTP_TRY(check_ledgers(folder, manifest, *roots, say));
  return check_databases(folder, manifest, say);
}

Result<Manifest> check_backup(const fs::path& folder,
                              const std::optional<std::string>& trust_domain, const Say& say) {
  NOTP_ASSIGN(Manifest manifest, read_manifest(folder));
  if (trust_domain && manifest.trust_domain != *trust_domain)
    return fail(ErrorCode::kWrongTarget,
                fmt::format("{} is a backup of {}, and this registry is of {}", folder.string(),
                            manifest.trust_domain, *trust_domain));
  NOTP_TRY(check_files(folder, manifest, say));
  NOTP_TRY(check_stores(folder, manifest, say));
  return manifest;
}

}  // namespace notp::backup
