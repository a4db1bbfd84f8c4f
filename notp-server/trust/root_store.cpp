#include "notp-server/trust/root_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "common/storage/read_only_disk.hpp"
#include "protocol/trust/verify.hpp"

namespace notp::trust {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".envelope";

// Returns the version in "<version>.envelope"; nullopt for any other name, such as that of a file
// that a crash left incomplete.
std::optional<uint64_t> version_in(const std::string& name) {
  if (!name.ends_with(kSuffix)) return std::nullopt;
  const char* const end = name.data() + name.size() - kSuffix.size();
  uint64_t version = 0;
  const auto [stop, error] = std::from_chars(name.data(), end, version);
  if (error != std::errc() || stop != end || version == 0) return std::nullopt;
  return fmt::format("{}{}", version, kSuffix) == name ? std::optional(version) : std::nullopt;
}

Result<std::vector<uint64_t>> versions_in(const fs::path& folder) {
  std::vector<uint64_t> versions;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    if (const auto version = version_in(entry->path().filename().string()))
      versions.push_back(*version);
  if (error)
    return fail(ErrorCode::kIo,
                fmt::format("cannot list the roots in {}: {}", folder.string(), error.message()));
  std::ranges::sort(versions);
  return versions;
}

// Verifies one step of the chain.
Result<std::shared_ptr<const Root>> successor(const std::shared_ptr<const Root>& root,
                                              ByteView envelope, TimeMs now_ms) {
  Trusted trusted;
  trusted.root = root;
  Update update;
  update.root_chain.push_back(envelope);
  const Verdict verdict = verify_update(update, trusted, now_ms);
  if (verdict.error) return std::unexpected(*verdict.error);
  return verdict.root_chain.front().root;
}

Error damaged(Error error, const fs::path& file) {
  return Error{ErrorCode::kCorrupt,
               fmt::format("the stored root {} is damaged ({}); put it back from a backup or from "
                           "any agent that has it",
                           file.string(), error.message),
               {{"cause", std::string(error_traits(error.code).name)}}};
}

}  // namespace

Result<std::unique_ptr<RootStore>> RootStore::open(fs::path folder, const fs::path& configured,
                                                   std::string trust_domain, TimeMs now_ms) {
  NOTP_TRY(make_folders(folder));
  // The folder's name must survive a crash, too.
  if (!is_on_read_only_disk(folder))
    NOTP_TRY(sync_folder(folder.has_parent_path() ? folder.parent_path() : fs::path(".")));
  std::unique_ptr<RootStore> store(new RootStore(std::move(folder), std::move(trust_domain)));
  NOTP_TRY(store->load(now_ms));
  if (store->newest() == 0) {
    NOTP_ASSIGN(Bytes envelope, read_file(configured, limits::kEnvelopeBytesMax));
    NOTP_TRY(store->pin(std::move(envelope), configured));
  } else {
    NOTP_TRY(store->adopt(configured, now_ms));
  }
  return store;
}

fs::path RootStore::file_of(uint64_t version) const {
  return folder_ / fmt::format("{}{}", version, kSuffix);
}

Result<void> RootStore::load(TimeMs now_ms) {
  NOTP_ASSIGN(const std::vector<uint64_t> versions, versions_in(folder_));
  for (const uint64_t version : versions) {
    const fs::path file = file_of(version);
    const auto root = current();
    if (root && version != root->version + 1)
      return std::unexpected(
          damaged(Error{ErrorCode::kNotFound, "it is not there, but a newer one is", {}},
                  file_of(root->version + 1)));
    auto envelope = read_file(file, limits::kEnvelopeBytesMax);
    if (!envelope) return std::unexpected(damaged(envelope.error(), file));
    if (auto read = check_is_read(*envelope); !read)
      return std::unexpected(std::move(read).error().in(file.string()));
    std::shared_ptr<const Root> next;
    if (root) {
      auto verified = successor(root, *envelope, now_ms);
      if (!verified) return std::unexpected(damaged(verified.error(), file));
      next = *verified;
    } else {
      auto verified = verify_pinned_root(*envelope, trust_domain_);
      if (!verified) return std::unexpected(damaged(verified.error(), file));
      next = std::make_shared<const Root>(std::move(*verified));
    }
    if (next->version != version)
      return std::unexpected(damaged(
          Error{ErrorCode::kRootInvalid, fmt::format("it holds v{}", next->version), {}}, file));
    remember(std::move(next), std::move(*envelope));
  }
  return {};
}

Result<void> RootStore::pin(Bytes envelope, const fs::path& file) {
  auto root = verify_pinned_root(envelope, trust_domain_);
  if (!root) return std::unexpected(std::move(root).error().in("the root " + file.string()));
  NOTP_TRY(write_file(file_of(root->version), envelope));
  remember(std::make_shared<const Root>(std::move(*root)), std::move(envelope));
  return {};
}

// Whether the envelope is the chain's next root, rather than one of its roots.
Result<bool> RootStore::is_next(ByteView envelope, const std::string& where) const {
  auto root = verify_pinned_root(envelope, trust_domain_);
  if (!root) return std::unexpected(std::move(root).error().in(where));
  auto held = holds(root->version, envelope);
  if (!held) return std::unexpected(std::move(held).error().in(where));
  if (*held) return false;
  const uint64_t last = newest();
  if (root->version > last + 1)
    return fail(ErrorCode::kConfig,
                fmt::format("{} is v{}, but this registry has the chain up to v{} only; publish "
                            "the roots between them first, one after the other",
                            where, root->version, last));
  if (root->version <= last)
    return fail(ErrorCode::kConfig,
                fmt::format("{} is v{}, older than the chain that this registry keeps in {}; "
                            "configure one of its roots, or a newer one",
                            where, root->version, folder_.string()));
  return true;
}

Result<bool> RootStore::adopt(const fs::path& file, TimeMs now_ms) {
  const std::string where = "the root " + file.string();
  NOTP_ASSIGN(const Bytes envelope, read_file(file, limits::kEnvelopeBytesMax));
  const MutexLock writing(writing_);
  NOTP_ASSIGN(const bool grows, is_next(envelope, where));
  if (!grows) return false;
  auto appended = append(envelope, now_ms);
  if (!appended) return std::unexpected(std::move(appended).error().in(where));
  return true;
}

Result<std::shared_ptr<const Root>> RootStore::look(const fs::path& folder,
                                                    const fs::path& configured,
                                                    std::string trust_domain, TimeMs now_ms) {
  const std::string where = "the root " + configured.string();
  RootStore store(folder, std::move(trust_domain));
  std::error_code error;
  if (fs::exists(folder, error)) NOTP_TRY(store.load(now_ms));
  NOTP_ASSIGN(const Bytes envelope, read_file(configured, limits::kEnvelopeBytesMax));
  if (store.newest() == 0) {
    auto root = verify_pinned_root(envelope, store.trust_domain_);
    if (!root) return std::unexpected(std::move(root).error().in(where));
    return std::make_shared<const Root>(std::move(*root));
  }
  NOTP_ASSIGN(const bool grows, store.is_next(envelope, where));
  if (!grows) return store.current();
  auto next = successor(store.current(), envelope, now_ms);
  if (!next) return std::unexpected(std::move(next).error().in(where));
  return *std::move(next);
}

Result<std::shared_ptr<const Root>> RootStore::publish(ByteView envelope, TimeMs now_ms) {
  const MutexLock writing(writing_);
  // A root that is sent again after a lost answer.
  if (auto root = verify_pinned_root(envelope, trust_domain_); root && root->version <= newest()) {
    NOTP_ASSIGN(const bool held, holds(root->version, envelope));
    if (held) return current();
  }
  return append(envelope, now_ms);
}

Result<std::shared_ptr<const Root>> RootStore::append(ByteView envelope, TimeMs now_ms) {
  NOTP_ASSIGN(std::shared_ptr<const Root> next, successor(current(), envelope, now_ms));
  if (next->expires_ms != 0 && next->expires_ms <= now_ms)
    return fail(ErrorCode::kExpired,
                fmt::format("root v{} has expired already; whoever took it could verify nothing "
                            "any more",
                            next->version));
  NOTP_TRY(write_file(file_of(next->version), envelope));
  remember(next, Bytes(envelope));
  return next;
}

Result<bool> RootStore::holds(uint64_t version, ByteView envelope) const {
  model::Content stored;
  {
    const MutexLock lock(mutex_);
    const auto found = chain_.find(version);
    if (found == chain_.end()) return false;
    stored = found->second.envelope;
  }
  NOTP_ASSIGN(const Envelope ours, Envelope::decode(*stored));
  NOTP_ASSIGN(const Envelope theirs, Envelope::decode(envelope));
  if (ours.payload == theirs.payload) return true;
  return fail(ErrorCode::kRootInvalid,
              fmt::format("root v{} is another one than the v{} that this registry serves", version,
                          version));
}

void RootStore::remember(std::shared_ptr<const Root> root, Bytes envelope) {
  {
    const auto before = current();
    const bool new_key = before && before->drops_freshness_key(*root);
    const MutexLock lock(mutex_);
    chain_[root->version] = {root->version, std::make_shared<const Bytes>(std::move(envelope)),
                             new_key};
  }
  // After the chain: a reader that sees the new version finds its envelope.
  current_.set(std::move(root));
}

std::vector<session::CatalogRoot> RootStore::after(uint64_t version) const {
  const MutexLock lock(mutex_);
  std::vector<session::CatalogRoot> out;
  for (auto root = chain_.upper_bound(version);
       root != chain_.end() && out.size() < limits::kRootStepsMax; ++root)
    out.push_back(root->second);
  return out;
}

}  // namespace notp::trust
