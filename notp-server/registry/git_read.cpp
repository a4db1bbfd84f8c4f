#include "notp-server/registry/git_read.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>

#include "common/limits.hpp"
#include "notp-server/registry/git_text.hpp"
#include "protocol/trust/envelope.hpp"

namespace notp::registry {
namespace {

// `git fetch` and `git push` leave small objects loose: below a folder for the first byte of their
// id.
bool has_loose_objects(const std::filesystem::path& repository) {
  std::error_code error;
  for (std::filesystem::directory_iterator at(repository / "objects", error), end;
       !error && at != end; at.increment(error))
    if (at->path().filename().string().size() == 2) return true;
  return false;
}

std::unexpected<Error> corrupt(const OpenRepository& repository, std::string_view what) {
  return fail(
      ErrorCode::kCorrupt,
      fmt::format("the repository {} is damaged: {}. {}Restore it from a backup or a clone, "
                  "or move it away, and restart the registry",
                  repository.folder.string(), what,
                  has_loose_objects(repository.folder)
                      ? "Objects are read from packs alone, and there are loose ones: "
                        "'git repack -a -d' in it packs them. "
                      : ""));
}

// Returns the versions that tags of this kind name.
Result<std::set<uint64_t>> tagged_versions(const OpenRepository& repository,
                                           std::string (*ref_of)(uint64_t)) {
  std::string pattern = ref_of(0);
  pattern.back() = '*';
  git_reference_iterator* raw = nullptr;
  if (git_reference_iterator_glob_new(&raw, repository.handle.get(), pattern.c_str()) != 0)
    return git_failed("list the tags of " + repository.folder.string());
  const GitIteratorPtr iterator(raw);
  std::set<uint64_t> versions;
  const char* name = nullptr;
  int status = 0;
  while ((status = git_reference_next_name(&name, raw)) == 0)
    if (const uint64_t version = version_in(name, ref_of); version != 0) versions.insert(version);
  if (status != GIT_ITEROVER) return git_failed("list the tags of " + repository.folder.string());
  return versions;
}

// libgit2 does not list a reference whose file it cannot read. A missing release tag is detected; a
// missing withdrawal would be lost.
Result<std::set<uint64_t>> withdrawn_versions(const OpenRepository& repository) {
  NOTP_ASSIGN(std::set<uint64_t> versions, tagged_versions(repository, withdrawn_ref));
  const auto folder = (repository.folder / withdrawn_ref(0)).parent_path();
  std::error_code error;
  if (!std::filesystem::exists(folder, error) && !error) return versions;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().lexically_relative(repository.folder).generic_string();
    if (const uint64_t version = version_in(name, withdrawn_ref); version != 0)
      versions.insert(version);
  }
  if (error) return corrupt(repository, "its withdrawals cannot be listed: " + error.message());
  return versions;
}

Result<GitCommitPtr> find_commit(const OpenRepository& repository, const git_oid& oid) {
  git_commit* raw = nullptr;
  if (git_commit_lookup(&raw, repository.handle.get(), &oid) != 0)
    return corrupt(repository, fmt::format("its commit {} cannot be read", git_hex(git_id(oid))));
  return GitCommitPtr(raw);
}

Result<GitTagPtr> find_tag(const OpenRepository& repository, const std::string& ref) {
  git_oid oid;
  git_tag* raw = nullptr;
  const std::string_view name = std::string_view(ref).substr(sizeof("refs/tags/") - 1);
  if (git_reference_name_to_id(&oid, repository.handle.get(), ref.c_str()) != 0 ||
      git_tag_lookup(&raw, repository.handle.get(), &oid) != 0)
    return corrupt(repository, fmt::format("its tag {} cannot be read", name));
  GitTagPtr tag(raw);
  if (git_tag_target_type(raw) != GIT_OBJECT_COMMIT)
    return corrupt(repository, fmt::format("its tag {} does not name a commit", name));
  return tag;
}

// Reads the statement in a tag, which must be the release `version` of the ledger.
Result<ReleaseInfo> read_statement(const git_tag* tag, const model::LedgerId& ledger,
                                   uint64_t version) {
  const char* message = git_tag_message(tag);
  ReleaseInfo info;
  NOTP_ASSIGN(info.envelope, parse_tag_envelope(message == nullptr ? "" : message));
  NOTP_ASSIGN(const trust::Envelope envelope, trust::Envelope::decode(info.envelope));
  if (envelope.payload_type != trust::kReleaseType)
    return fail(ErrorCode::kCorrupt, "the envelope is not of a release");
  NOTP_ASSIGN(info.release, trust::Release::decode(envelope.payload));
  info.ref = trust::ref_of(info.release, trust::release_hash(envelope.payload));
  if (info.release.ledger != ledger || info.release.version != version)
    return fail(ErrorCode::kCorrupt, fmt::format("the envelope is of {} v{}",
                                                 info.release.ledger.text(), info.release.version));
  return info;
}

// Completes `info` from the commit, which must agree with the statement.
Result<void> read_commit(const git_commit* commit, ReleaseInfo& info) {
  NOTP_ASSIGN(CommitText text, parse_commit_text(git_commit_message(commit)));
  if (text.version != info.release.version || text.release_hash != info.ref.release_hash ||
      text.content_root != info.release.content_root)
    return fail(ErrorCode::kCorrupt, "the envelope and the trailers of the commit disagree");
  info.message = std::move(text.message);
  info.publisher = git_commit_author(commit)->name;
  info.commit = git_hex(git_id(*git_commit_id(commit)));
  return {};
}

bool has_parent(const git_commit* commit, const std::optional<std::string>& parent) {
  const unsigned parents = git_commit_parentcount(commit);
  return parent ? parents == 1 && git_hex(git_id(*git_commit_parent_id(commit, 0))) == *parent
                : parents == 0;
}

// Releases between the two that were lost have no commit; of others only the tag can be missing.
Result<void> check_chain(const git_commit* commit, const ReleaseInfo& info,
                         const ReleaseInfo* previous) {
  const uint64_t next = previous ? previous->release.version + 1 : 1;
  const bool follows_gap = info.release.version != next;
  const Hash expected = previous ? previous->ref.release_hash : Hash{};
  if (!follows_gap && info.release.previous_hash != expected)
    return fail(ErrorCode::kCorrupt, "the release does not follow the one before it");
  if (has_parent(commit, previous ? std::optional(previous->commit) : std::nullopt)) return {};
  return fail(ErrorCode::kCorrupt,
              follows_gap
                  ? fmt::format("its commit follows another one than that of the tag before it: is "
                                "the tag v{} lost?",
                                info.release.version - 1)
                  : "its commit does not follow the one before it");
}

Result<ReleaseInfo> read_release(const OpenRepository& repository, const model::LedgerId& ledger,
                                 uint64_t version, const ReleaseInfo* previous) {
  NOTP_ASSIGN(const GitTagPtr tag, find_tag(repository, tag_ref(version)));
  const auto in_tag = [&](const Error& error) {
    return corrupt(repository, fmt::format("tag v{}: {}", version, error.message));
  };
  auto info = read_statement(tag.get(), ledger, version);
  if (!info) return in_tag(info.error());
  NOTP_ASSIGN(const GitCommitPtr commit, find_commit(repository, *git_tag_target_id(tag.get())));
  if (auto read = read_commit(commit.get(), *info); !read) return in_tag(read.error());
  if (auto chain = check_chain(commit.get(), *info, previous); !chain) return in_tag(chain.error());
  return info;
}

// Marks the releases that have a withdrawal tag.
Result<void> read_withdrawals(const OpenRepository& repository,
                              std::vector<ReleaseInfo>& releases) {
  NOTP_ASSIGN(const std::set<uint64_t> withdrawn, withdrawn_versions(repository));
  for (const uint64_t version : withdrawn) {
    const auto wrong = [&](std::string_view what) {
      return corrupt(repository, fmt::format("tag withdrawn/v{}: {}", version, what));
    };
    const auto found = std::ranges::lower_bound(
        releases, version, {}, [](const ReleaseInfo& release) { return release.release.version; });
    if (found == releases.end() || found->release.version != version)
      return wrong("there is no such release");
    ReleaseInfo& release = *found;
    NOTP_ASSIGN(const GitTagPtr tag, find_tag(repository, withdrawn_ref(version)));
    if (git_hex(git_id(*git_tag_target_id(tag.get()))) != release.commit)
      return wrong("it names another commit than v" + std::to_string(version));
    const char* message = git_tag_message(tag.get());
    auto withdrawal =
        parse_withdrawal_text(message == nullptr ? "" : message, version, release.ref.release_hash);
    if (!withdrawal) return wrong(withdrawal.error().message);
    release.withdrawn = withdrawal->text();
  }
  return {};
}

Result<uint64_t> head_version(const OpenRepository& repository) {
  NOTP_ASSIGN(const std::optional<GitId> main, read_main(repository));
  if (!main) return 0;
  NOTP_ASSIGN(const GitCommitPtr commit, find_commit(repository, to_oid(*main)));
  auto text = parse_commit_text(git_commit_message(commit.get()));
  if (!text) return corrupt(repository, "main: " + text.error().message);
  return text->version;
}

// The version of the tag above the head that an unfinished publish left; 0: there is none. A tag
// further above main than the next version is one of a publish that follows a gap.
Result<uint64_t> unfinished_version(const OpenRepository& repository,
                                    const std::set<uint64_t>& tagged, uint64_t head,
                                    const std::optional<GitId>& main) {
  const auto above = tagged.upper_bound(head);
  if (above == tagged.end()) return 0;
  const auto too_high = [&] {
    return corrupt(repository,
                   fmt::format("it has a tag v{} but main is at v{}", *tagged.rbegin(), head));
  };
  if (std::next(above) != tagged.end()) return too_high();
  if (*above == head + 1) return *above;
  NOTP_ASSIGN(const GitTagPtr tag, find_tag(repository, tag_ref(*above)));
  NOTP_ASSIGN(const GitCommitPtr commit, find_commit(repository, *git_tag_target_id(tag.get())));
  if (!has_parent(commit.get(), main ? std::optional(git_hex(*main)) : std::nullopt))
    return too_high();
  return *above;
}

// Walks a Git tree into files, reading what is not in memory.
class ContentReader {
 public:
  ContentReader(const OpenRepository& repository, const trust::Release& release,
                GitBlobIndex& known)
      : repository_(repository), known_(known), bytes_left_(release.total_bytes) {}

  // Recursion is bounded by kPathDepthMax.
  Result<void> read(const git_oid& tree_id, const std::string& prefix, size_t depth) {
    git_tree* raw = nullptr;
    if (depth > limits::kPathDepthMax ||
        git_tree_lookup(&raw, repository_.handle.get(), &tree_id) != 0)
      return corrupt(repository_, fmt::format("its folder '{}' cannot be read", prefix));
    const GitTreePtr tree(raw);
    for (size_t i = 0; i < git_tree_entrycount(raw); ++i) {
      const git_tree_entry* entry = git_tree_entry_byindex(raw, i);
      const std::string path = prefix + git_tree_entry_name(entry);
      switch (git_tree_entry_filemode_raw(entry)) {
        case GIT_FILEMODE_TREE:
          NOTP_TRY(read(*git_tree_entry_id(entry), path + "/", depth + 1));
          break;
        case GIT_FILEMODE_BLOB:
          NOTP_TRY(add(path, *git_tree_entry_id(entry)));
          break;
        default:
          return corrupt(repository_, fmt::format("'{}' is neither file nor folder", path));
      }
    }
    return {};
  }

  Result<model::ModelContent> finish() {
    auto tree = model::Tree::make(std::move(files_));
    if (!tree) return corrupt(repository_, tree.error().message);
    return model::ModelContent{std::make_shared<const model::Tree>(*std::move(tree)),
                               std::move(blobs_)};
  }

 private:
  Result<void> add(const std::string& path, const git_oid& oid) {
    auto known = known_.find(git_id(oid));
    if (!known) {
      NOTP_ASSIGN(model::Content content, load(path, oid));
      known = GitBlobIndex::Known{model::blob_hash(*content), std::move(content)};
      known_.add(git_id(oid), known->hash, known->content);
    }
    const uint64_t bytes = known->content->size();
    if (bytes > bytes_left_)
      return corrupt(repository_, fmt::format("at '{}' it holds more than was signed", path));
    bytes_left_ -= bytes;
    files_.emplace(path, model::FileEntry{known->hash, bytes});
    blobs_.emplace(known->hash, std::move(known->content));
    return {};
  }

  Result<model::Content> load(const std::string& path, const git_oid& oid) {
    size_t bytes = 0;
    git_object_t type = GIT_OBJECT_INVALID;
    git_odb_object* raw = nullptr;
    if (git_odb_read_header(&bytes, &type, repository_.odb.get(), &oid) != 0 ||
        type != GIT_OBJECT_BLOB || bytes > bytes_left_ ||
        git_odb_read(&raw, repository_.odb.get(), &oid) != 0)
      return corrupt(repository_, fmt::format("its file '{}' cannot be read", path));
    const GitOdbObjectPtr object(raw);
    return std::make_shared<const Bytes>(static_cast<const char*>(git_odb_object_data(raw)),
                                         git_odb_object_size(raw));
  }

  const OpenRepository& repository_;
  GitBlobIndex& known_;
  uint64_t bytes_left_;
  model::Files files_;
  model::BlobMap blobs_;
};

}  // namespace

Result<StoredHistory> read_history(const OpenRepository& repository,
                                   const model::LedgerId& ledger) {
  NOTP_ASSIGN(const uint64_t head, head_version(repository));
  NOTP_ASSIGN(const std::optional<GitId> main, read_main(repository));
  NOTP_ASSIGN(const std::set<uint64_t> tagged, tagged_versions(repository, tag_ref));
  StoredHistory history;
  NOTP_ASSIGN(history.unfinished_version, unfinished_version(repository, tagged, head, main));
  for (const uint64_t version : tagged) {
    if (version > head) break;
    const ReleaseInfo* previous = history.releases.empty() ? nullptr : &history.releases.back();
    NOTP_ASSIGN(ReleaseInfo info, read_release(repository, ledger, version, previous));
    history.releases.push_back(std::move(info));
  }
  if (main && (history.releases.empty() || history.releases.back().commit != git_hex(*main)))
    return corrupt(repository, fmt::format("main and the tag v{} name different commits", head));
  NOTP_TRY(read_withdrawals(repository, history.releases));
  return history;
}

Result<model::ModelContent> read_content(const OpenRepository& repository,
                                         const ReleaseInfo& release, GitBlobIndex& known) {
  NOTP_ASSIGN(const GitId id, git_id_from_hex(release.commit));
  NOTP_ASSIGN(const GitCommitPtr commit, find_commit(repository, to_oid(id)));
  ContentReader reader(repository, release.release, known);
  NOTP_TRY(reader.read(*git_commit_tree_id(commit.get()), "", 0));
  NOTP_ASSIGN(model::ModelContent content, reader.finish());
  if (content.tree->content_root() != release.release.content_root)
    return corrupt(
        repository,
        fmt::format("the content of v{} has the root {}, signed was {}", release.release.version,
                    content.tree->content_root().brief(), release.release.content_root.brief()));
  return content;
}

}  // namespace notp::registry
