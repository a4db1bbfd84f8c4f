#include "tools/notp/mirror/upstream.hpp"

#include <fmt/format.h>

#include "protocol/trust/statements.hpp"
#include "tools/notp/mirror/upstream_config.hpp"
#include "tools/notp/mirror/upstream_repository.hpp"
#include "tools/notp/mirror/upstream_verifier.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

// git works in another folder.
void make_absolute(UpstreamConfig& config) {
  for (fs::path* path : {&config.allowed_signers, &config.revoked_signers, &config.gpg_home,
                         &config.password_file, &config.ssh_key, &config.known_hosts, &config.ca,
                         &config.certificate, &config.certificate_key}) {
    std::error_code error;
    if (!path->empty()) *path = fs::absolute(*path, error);
  }
}

Result<bool> have_same_folder(const UpstreamRepository& repository, const std::string& old_commit,
                              const std::string& commit) {
  NOTP_ASSIGN(const bool is_known, repository.has_commit(old_commit));
  if (!is_known) return false;
  NOTP_ASSIGN(GitTrees trees, repository.open_trees());
  const std::string& path = repository.config().path;
  NOTP_ASSIGN(const std::optional<std::string> old_folder, trees.folder_in(old_commit, path));
  NOTP_ASSIGN(const std::optional<std::string> folder, trees.folder_in(commit, path));
  return old_folder == folder;
}

Result<FolderContent> read_content(const UpstreamRepository& repository, const UpstreamTip& tip) {
  const UpstreamConfig& config = repository.config();
  NOTP_ASSIGN(GitTrees trees, repository.open_trees());
  NOTP_ASSIGN(const std::optional<std::string> folder, trees.folder_in(tip.commit, config.path));
  if (!folder)
    return fail(ErrorCode::kNotFound, fmt::format("{} has no folder '{}' at {}", config.repository,
                                                  printable(config.path), short_id(tip.commit)));
  GitTreeSource source(trees, *folder, true, repository.deadline_ms());
  const std::string name = config.path.empty() ? repository.git().address().name
                                               : fs::path(config.path).filename().string();
  return read_model_source(source, {.name = name}, fmt::format("commit {}", short_id(tip.commit)));
}

}  // namespace

Upstream::Upstream(std::unique_ptr<UpstreamRepository> repository)
    : repository_(std::move(repository)) {}
Upstream::Upstream(Upstream&&) noexcept = default;
Upstream& Upstream::operator=(Upstream&&) noexcept = default;
Upstream::~Upstream() = default;

Result<Upstream> Upstream::open(fs::path folder, UpstreamConfig config,
                                const Environment& environment) {
  NOTP_TRY(check_upstream(config));
  make_absolute(config);
  std::error_code error;
  UpstreamGit git(UpstreamFolder{fs::absolute(folder, error) / "upstream"}, std::move(config),
                  environment);
  NOTP_ASSIGN(UpstreamRepository repository, UpstreamRepository::open(std::move(git)));
  return Upstream(std::make_unique<UpstreamRepository>(std::move(repository)));
}

Result<UpstreamTip> Upstream::look() {
  repository_->begin();
  return repository_->look();
}

Result<void> Upstream::fetch(const UpstreamTip& tip) {
  repository_->begin();
  return repository_->fetch(tip);
}

Result<std::string> Upstream::verify(const UpstreamTip& tip) {
  repository_->begin();
  NOTP_TRY(repository_->require_fetched(tip));
  return repository_->forget_damaged(UpstreamVerifier(*repository_, tip).run());
}

Result<bool> Upstream::has_ancestor(const UpstreamTip& tip, const std::string& commit) {
  repository_->begin();
  NOTP_TRY(repository_->require_fetched(tip));
  if (!trust::is_commit_id(commit)) return false;
  return repository_->forget_damaged(repository_->is_ancestor(commit, tip.commit));
}

Result<bool> Upstream::same_content(const std::string& old_commit, const UpstreamTip& tip) {
  repository_->begin();
  NOTP_TRY(repository_->require_fetched(tip));
  if (!trust::is_commit_id(old_commit)) return false;
  return repository_->forget_damaged(have_same_folder(*repository_, old_commit, tip.commit));
}

Result<FolderContent> Upstream::content(const UpstreamTip& tip) {
  repository_->begin();
  NOTP_TRY(repository_->require_fetched(tip));
  return repository_->forget_damaged(read_content(*repository_, tip));
}

}  // namespace notp::cli
