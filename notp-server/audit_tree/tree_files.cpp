#include "notp-server/audit_tree/tree_files.hpp"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "common/failpoint.hpp"
#include "common/log.hpp"
#include "common/storage/files.hpp"
#include "common/storage/private_files.hpp"

namespace notp::audit {
namespace {

namespace fs = std::filesystem;

constexpr size_t kKeyBytesMax = 4 << 10;
constexpr unsigned kPrivateMode = 0600;
constexpr size_t kCarriedBytes = 4 << 20;  // of entries of an earlier tree, at once

bool is_there(const fs::path& file) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(file, ignored));
}

// What is there of a tree, and why it cannot go on.
struct Found {
  std::optional<PrivateKey> key;
  std::unique_ptr<TreeDatabase> database;
  std::optional<record::Announcement> announcement;
  Bytes announcement_bytes;
  std::string why;  // empty: it goes on
};

// Another format is no damage: another program reads it.
bool is_damage(const Error& error) {
  return error.code == ErrorCode::kCorrupt || error.code == ErrorCode::kSignature ||
         error.code == ErrorCode::kMessage;
}

Result<void> find_key(const fs::path& file, Found& found) {
  const auto pem = read_file(file, kKeyBytesMax);
  if (!pem && pem.error().code != ErrorCode::kNotFound && pem.error().code != ErrorCode::kLimit)
    return std::unexpected(pem.error());
  if (!pem) return {};
  if (auto key = PrivateKey::from_pem(*pem))
    found.key = *std::move(key);
  else
    found.why = fmt::format("{} is damaged: {}", file.string(), key.error().message);
  return {};
}

Result<void> find_database(const fs::path& file, Found& found) {
  if (!is_there(file)) return {};
  auto database = TreeDatabase::open(file);
  Result<Bytes> announcement = database ? (*database)->announcement() : Bytes();
  if (!database || !announcement) {
    const Error& error = database ? announcement.error() : database.error();
    if (!is_damage(error)) return std::unexpected(error);
    found.why = fmt::format("{} is damaged: {}", file.string(), error.message);
    return {};
  }
  found.database = *std::move(database);
  found.announcement_bytes = *std::move(announcement);
  if (found.announcement_bytes.empty()) return {};
  auto read = record::verify_announcement(found.announcement_bytes);
  if (read)
    found.announcement = *std::move(read);
  else
    found.why =
        fmt::format("the announcement in {} is damaged: {}", file.string(), read.error().message);
  return {};
}

void compare(const TreeOwner& owner, Found& found) {
  if (!found.why.empty()) return;
  if (!found.key && found.announcement)
    found.why = "the key of the tree is missing";
  else if (found.key && !found.announcement)
    found.why = "the database of the tree is missing";
  else if (found.key && found.announcement->log_key != found.key->public_key())
    found.why = "the key is that of another tree";
  else if (found.announcement && found.announcement->node != owner.registry)
    found.why =
        fmt::format("the registry was {}, and is now {}", found.announcement->node, owner.registry);
}

// --- a new tree

// A new tree is made under these names, whole, before the one before is set aside.
constexpr const char* kBegunTree = "tree.db.begun";
constexpr const char* kBegunKey = "tree.key.begun";

Result<void> rename_file(const fs::path& from, const fs::path& to) {
  if (!is_there(from)) return {};
  std::error_code error;
  fs::rename(from, to, error);
  if (!error) return {};
  return fail(ErrorCode::kIo, fmt::format("cannot rename {} to {}: {}", from.string(), to.string(),
                                          error.message()));
}

Result<void> remove_begun(const fs::path& folder) {
  for (const char* name : {kBegunKey, kBegunTree, "tree.db.begun-wal", "tree.db.begun-shm"}) {
    std::error_code error;
    fs::remove(folder / name, error);
    if (error)
      return fail(ErrorCode::kIo,
                  fmt::format("cannot remove {}: {}", (folder / name).string(), error.message()));
  }
  return {};
}

// Goes on where a crash has ended take_place(): a tree that is still there was not set aside.
Result<void> finish_begun(const fs::path& folder) {
  if (is_there(folder / kTreeKeyFile) || !is_there(folder / kBegunKey)) return {};
  if (is_there(folder / kBegunTree)) {
    if (is_there(folder / kTreeFile)) return remove_begun(folder);
    NOTP_TRY(rename_file(folder / kBegunTree, folder / kTreeFile));
  }
  NOTP_TRY(rename_file(folder / kBegunKey, folder / kTreeKeyFile));
  return sync_folder(folder);
}

// The key goes first: without its key a tree is still known for what it is.
Result<void> set_aside(const fs::path& folder, const std::string& name) {
  std::string free = name;
  for (int i = 2; is_there(folder / fmt::format("{}{}.key", kTreeSetAside, free)) ||
                  is_there(folder / fmt::format("{}{}{}", kTreeSetAside, free, kTreeSetAsideEnd));
       ++i)
    free = fmt::format("{}-{}", name, i);
  NOTP_TRY(
      rename_file(folder / kTreeKeyFile, folder / fmt::format("{}{}.key", kTreeSetAside, free)));
  failpoint("tree.between_set_aside");
  for (const char* end : {"-wal", "-shm", "-journal", ""})
    NOTP_TRY(
        rename_file(folder / (std::string(kTreeFile) + end),
                    folder / fmt::format("{}{}{}{}", kTreeSetAside, free, kTreeSetAsideEnd, end)));
  return sync_folder(folder);
}

// What an earlier tree said of other than checkpoints.
Result<void> carry_over(const TreeDatabase& from, TreeLog& to, TimeMs now_ms) {
  NOTP_ASSIGN(const auto newest, from.newest());
  const uint64_t end = newest ? newest->size : 0;
  for (uint64_t first = 0; first < end;) {
    NOTP_ASSIGN(const std::vector<Bytes> read, from.entries(first, end, kCarriedBytes));
    first += read.size();
    std::vector<record::TreeEntry> carried;
    for (const Bytes& bytes : read) {
      NOTP_ASSIGN(record::TreeEntry entry, record::decode_tree_entry(bytes));
      if (entry.kind != record::TreeEntryKind::kCheckpoint) carried.push_back(std::move(entry));
    }
    if (carried.empty()) continue;
    NOTP_ASSIGN(const SealedCheckpoint sealed, to.append(carried, now_ms));
    log::info("registry_tree_carried", {{"entries", carried.size()}, {"size", sealed.size}});
  }
  return {};
}

// Makes the database of a new tree, and closes it.
Result<void> make_begun_database(const fs::path& file, const Bytes& announcement,
                                 std::string origin, PrivateKey key, const Found& found,
                                 TimeMs now_ms) {
  NOTP_ASSIGN(const auto database, TreeDatabase::open(file));
  NOTP_TRY(database->set_announcement(announcement));
  NOTP_ASSIGN(const auto tree, TreeLog::open(*database, std::move(origin), std::move(key)));
  if (found.database)
    if (const auto carried = carry_over(*found.database, *tree, now_ms); !carried)
      log::write(log::Level::kError, "registry_tree_not_carried", carried.error());
  return {};
}

// Makes the files of a new tree, whole.
Result<void> make_begun(const fs::path& folder, const TreeOwner& owner, const Found& found,
                        const std::optional<record::LogId>& previous, TimeMs now_ms) {
  NOTP_TRY(remove_begun(folder));
  NOTP_ASSIGN(const record::AnnouncementSigner signer, owner.signer());
  PrivateKey key = PrivateKey::generate();
  const std::string pem = key.to_pem();
  const record::LogId id = record::LogId::of(key.public_key());
  const std::string reason =
      found.why.empty() ? "the first tree of this registry" : printable(found.why);
  NOTP_ASSIGN(const Bytes announcement,
              record::sign_announcement({.trust_domain = owner.trust_domain,
                                         .node = owner.registry,
                                         .log_key = key.public_key(),
                                         .created_ms = now_ms,
                                         .previous = previous,
                                         .reason = reason},
                                        signer));
  NOTP_TRY(make_begun_database(folder / kBegunTree, announcement,
                               record::log_origin(owner.registry, id), std::move(key), found,
                               now_ms));
  log::write(
      found.why.empty() ? log::Level::kInfo : log::Level::kError, "registry_tree_begun",
      {{"tree", id.hex()}, {"previous", previous ? previous->hex() : ""}, {"reason", reason}});
  return write_file(folder / kBegunKey, pem, kPrivateMode);
}

Result<void> begin_tree(const fs::path& folder, const TreeOwner& owner, Found found,
                        TimeMs now_ms) {
  std::optional<record::LogId> previous;
  if (found.announcement)
    previous = record::LogId::of(found.announcement->log_key);
  else if (found.key)
    previous = record::LogId::of(found.key->public_key());
  NOTP_TRY(make_begun(folder, owner, found, previous, now_ms));
  found.database.reset();
  failpoint("tree.begun");
  if (!found.why.empty())
    NOTP_TRY(set_aside(folder, previous ? previous->hex() : fmt::format("damaged-{}", now_ms)));
  return finish_begun(folder);
}

// What is there goes on, or says in `why` that it cannot.
Result<std::optional<OpenedTree>> go_on(const TreeOwner& owner, Found& found) {
  const PublicKey key = found.key->public_key();
  auto tree =
      TreeLog::open(*found.database, record::log_origin(owner.registry, record::LogId::of(key)),
                    *std::exchange(found.key, std::nullopt));
  if (tree)
    return OpenedTree{.database = std::move(found.database),
                      .tree = *std::move(tree),
                      .announcement = std::move(found.announcement_bytes)};
  if (!is_damage(tree.error())) return std::unexpected(std::move(tree).error());
  found.why = tree.error().message;
  return std::nullopt;
}

}  // namespace

Result<OpenedTree> open_tree(const fs::path& folder, const TreeOwner& owner, TimeMs now_ms) {
  NOTP_TRY(make_private_folder(folder));
  NOTP_TRY(finish_begun(folder));
  for (bool is_begun = false;; is_begun = true) {
    Found found;
    NOTP_TRY(find_key(folder / kTreeKeyFile, found));
    NOTP_TRY(find_database(folder / kTreeFile, found));
    compare(owner, found);
    if (found.why.empty() && found.key) {
      NOTP_ASSIGN(auto opened, go_on(owner, found));
      if (opened) return *std::move(opened);
    }
    if (is_begun) return fail(ErrorCode::kInternal, "a new tree is not what was written");
    NOTP_TRY(begin_tree(folder, owner, std::move(found), now_ms));
  }
}

}  // namespace notp::audit
