#include "notp-server/registry/git_write.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "common/assert.hpp"
#include "common/failpoint.hpp"
#include "common/limits.hpp"
#include "notp-server/registry/git_pack.hpp"

namespace notp::registry {
namespace {

// The size in bytes from which a blob is worth looking up in old releases.
constexpr size_t kLookedForBytesMin = 64 << 10;

ByteView raw(const GitId& id) { return {reinterpret_cast<const char*>(id.data()), id.size()}; }

// The packs of a repository, opened on the first lookup.
class StoredObjects {
 public:
  explicit StoredObjects(const std::filesystem::path& folder) : folder_(folder) {}

  // Also false after any failure.
  bool has(const GitId& id) {
    if (!repository_) {
      auto opened = open_repository(folder_);
      if (!opened) failed_ = std::unexpected(opened.error());
      repository_ = opened ? std::move(*opened) : OpenRepository();
    }
    const git_oid oid = to_oid(id);
    // The packs were opened for this publish and there is no other writer: a miss need not look for
    // new packs.
    return failed_ &&
           git_odb_exists_ext(repository_->odb.get(), &oid, GIT_ODB_LOOKUP_NO_REFRESH) == 1;
  }
  const Result<void>& outcome() const { return failed_; }

 private:
  const std::filesystem::path& folder_;
  std::optional<OpenRepository> repository_;
  Result<void> failed_;
};

// Gathers the objects of a release that the repository does not have.
class ObjectWriter {
 public:
  ObjectWriter(const OpenRepository& repository, const model::ModelContent& content,
               const model::ModelContent* previous, const GitBlobIndex& known, const GitIds& trees)
      : content_(content),
        previous_(previous),
        known_(known),
        known_trees_(trees),
        stored_(repository.folder) {}

  // Returns the tree object over all files.
  Result<GitId> add_files() {
    auto next = content_.tree->files().begin();
    const GitId root = add_folder(next, "");
    NOTP_TRY(stored_.outcome());
    return root;
  }

  // Adds an object that is new with every release.
  GitId add(git_object_t type, Bytes object) { return pack_.add(type, std::move(object)); }

  // Writes the changes of large documents; the other large documents go into the pack.
  Result<void> write_changes(const std::filesystem::path& folder, GitLargeBlobs& large) {
    for (const Change& change : changes_) {
      const Bytes& target = *content_.blobs.at(change.target.hash);
      NOTP_ASSIGN(const bool written, large.write_change(folder, change.earlier,
                                                         *previous_->blobs.at(change.earlier.hash),
                                                         change.target.hash, change.id, target));
      if (!written) pack_.add_view(change.id, GIT_OBJECT_BLOB, target);
    }
    return {};
  }

  const GitPack& pack() const { return pack_; }
  // Returns the blobs visited, for the index once they are stored.
  const std::vector<std::pair<GitId, Hash>>& blobs() const { return blobs_; }
  GitIds take_trees() { return std::move(trees_); }

 private:
  // The files under `prefix` are adjacent in the map, and their byte order is the order that Git
  // requires of a tree's entries: both compare a folder's name as if it ended in '/'. Recursion is
  // bounded by kPathDepthMax.
  GitId add_folder(model::Files::const_iterator& next, std::string_view prefix) {
    Bytes tree;
    const model::Files& files = content_.tree->files();
    while (next != files.end() && next->first.starts_with(prefix)) {
      const std::string_view path = next->first;
      const size_t slash = path.find('/', prefix.size());
      const bool is_file = slash == std::string_view::npos;
      const std::string_view name =
          is_file ? path.substr(prefix.size()) : path.substr(prefix.size(), slash - prefix.size());
      const GitId id = is_file ? add_blob(path, next->second)
                               : add_folder(next, std::string(path.substr(0, slash + 1)));
      if (is_file) ++next;
      tree.append(is_file ? "100644 " : "40000 ").append(name).push_back('\0');
      tree.append(raw(id));
    }
    const GitId id = git_object_id(GIT_OBJECT_TREE, tree);
    trees_.insert(id);
    if (!known_trees_.contains(id) && (previous_ || !stored_.has(id)))
      pack_.add(GIT_OBJECT_TREE, std::move(tree));
    return id;
  }

  GitId add_blob(std::string_view path, const model::FileEntry& file) {
    if (const auto known = known_.id_of(file.hash)) {
      blobs_.emplace_back(*known, file.hash);
      return *known;
    }
    const auto blob = content_.blobs.find(file.hash);
    NOTP_ASSERT(blob != content_.blobs.end() && blob->second->size() == file.bytes,
                "a model's content holds every file of its tree");
    const GitId id = git_object_id(GIT_OBJECT_BLOB, *blob->second);
    blobs_.emplace_back(id, file.hash);
    const bool is_looked_for = !previous_ || file.bytes >= kLookedForBytesMin;
    if (is_looked_for && stored_.has(id)) return id;
    if (const model::FileEntry* const earlier = earlier_of(path, file))
      changes_.push_back({id, *earlier, file});
    else
      pack_.add_view(id, GIT_OBJECT_BLOB, *blob->second);
    return id;
  }

  // Returns the file that a large file changes, when its content is in memory.
  const model::FileEntry* earlier_of(std::string_view path, const model::FileEntry& file) const {
    if (!previous_ || file.bytes < limits::kLargeBlobBytesMin) return nullptr;
    const model::FileEntry* const earlier = previous_->tree->find(path);
    return earlier && previous_->blobs.contains(earlier->hash) ? earlier : nullptr;
  }

  struct Change {
    GitId id;
    model::FileEntry earlier;
    model::FileEntry target;
  };

  const model::ModelContent& content_;
  const model::ModelContent* const previous_;
  const GitBlobIndex& known_;
  const GitIds& known_trees_;
  StoredObjects stored_;
  GitIds trees_;
  GitPack pack_;
  std::vector<Change> changes_;
  std::vector<std::pair<GitId, Hash>> blobs_;
};

std::string signature_line(std::string_view who, std::string_view trust_domain, TimeMs when_ms) {
  return fmt::format("{} <{}> {} +0000", who, publisher_email(who, trust_domain), when_ms / 1000);
}

std::string publisher_line(const NewRelease& release) {
  return signature_line(release.publisher, release.release.trust_domain, release.release.issued_ms);
}

Bytes commit_object(const NewRelease& release, const GitId& tree,
                    const std::optional<GitId>& parent) {
  const std::string who = publisher_line(release);
  return fmt::format("tree {}\n{}author {}\ncommitter {}\n\n{}", git_hex(tree),
                     parent ? fmt::format("parent {}\n", git_hex(*parent)) : "", who, who,
                     commit_text({release.message, release.release.version,
                                  release.ref.release_hash, release.release.content_root}));
}

Bytes tag_object(const NewRelease& release, const GitId& commit) {
  return fmt::format("object {}\ntype commit\ntag v{}\ntagger {}\n\n{}", git_hex(commit),
                     release.release.version, publisher_line(release), tag_text(release));
}

}  // namespace

Result<GitId> write_release(const OpenRepository& repository, const NewRelease& release,
                            const std::optional<GitId>& parent, const model::ModelContent* previous,
                            GitBlobIndex& known, GitIds& trees, GitLargeBlobs& large) {
  NOTP_TRY(check_main(repository, parent));
  const auto folder = repository.folder / "objects" / "pack";
  ObjectWriter writer(repository, release.content, previous, known, trees);
  NOTP_ASSIGN(const GitId tree, writer.add_files());
  NOTP_TRY(writer.write_changes(folder, large));
  failpoint("registry.after_changes");
  const GitId commit = writer.add(GIT_OBJECT_COMMIT, commit_object(release, tree, parent));
  const GitId tag = writer.add(GIT_OBJECT_TAG, tag_object(release, commit));
  NOTP_ASSIGN(const std::vector<PackedBlob> whole, writer.pack().write(folder));
  failpoint("registry.after_pack");
  NOTP_TRY(set_tag(repository, tag_ref(release.release.version), tag));
  failpoint("registry.after_tag");
  NOTP_TRY(move_main(repository, parent, commit));
  failpoint("registry.after_main");
  trees = writer.take_trees();
  for (const auto& [id, hash] : writer.blobs()) {
    const model::Content& content = release.content.blobs.at(hash);
    known.add(id, hash, content);
    const auto packed = std::ranges::find(whole, id, &PackedBlob::id);
    if (packed != whole.end()) large.add(hash, content->size(), *packed);
  }
  return commit;
}

Result<void> write_withdrawal(const OpenRepository& repository, const ReleaseInfo& release,
                              const Withdrawal& withdrawal, TimeMs now_ms) {
  const uint64_t version = release.release.version;
  GitPack pack;
  const GitId tag = pack.add(
      GIT_OBJECT_TAG,
      fmt::format("object {}\ntype commit\ntag withdrawn/v{}\ntagger {}\n\n{}", release.commit,
                  version,
                  signature_line(withdrawal.identity, release.release.trust_domain, now_ms),
                  withdrawal_text(release.release, release.ref.release_hash, withdrawal)));
  NOTP_TRY(pack.write(repository.folder / "objects" / "pack"));
  failpoint("registry.withdraw_after_pack");
  NOTP_TRY(set_tag(repository, withdrawn_ref(version), tag));
  failpoint("registry.withdraw_after_tag");
  return {};
}

}  // namespace notp::registry
