#include "tools/notp/mirror/upstream_verifier.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <set>

#include "common/storage/files.hpp"
#include "common/storage/private_files.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTags = "refs/tags/";
constexpr size_t kObjectBytesMax = 1 << 20;  // of a commit or tag
constexpr size_t kKeyringBytesMax = 16 << 20;

// For gpg on the copied keys: whoever is in gpg_home is an allowed signer, and nothing else runs.
constexpr std::string_view kGpgSettings =
    "batch\nno-tty\ntrust-model always\nno-auto-key-retrieve\nno-auto-key-locate\nlock-never\n"
    "no-autostart\n";

bool is_about_signature(ErrorCode code) {
  return code == ErrorCode::kSignature || code == ErrorCode::kExpired ||
         code == ErrorCode::kRevoked;
}

}  // namespace

Result<void> UpstreamVerifier::copy_keys(const fs::path& from, const fs::path& to,
                                         std::string_view setting) const {
  const auto text = read_file(from, kKeyringBytesMax);
  if (!text) return fail(ErrorCode::kConfig, fmt::format("{}: {}", setting, text.error().message));
  return write_file(to, *text, 0600);
}

// Copies what the signers' keys are. gpg writes into its folder, and would read settings there; and
// git goes on without a list of revoked keys that it does not find.
Result<void> UpstreamVerifier::prepare_keys() const {
  const UpstreamFolder& folder = repository_.git().folder();
  std::error_code error;
  fs::remove_all(folder.keys(), error);
  NOTP_TRY(make_private_folder(folder.keys()));
  if (!config().allowed_signers.empty())
    NOTP_TRY(copy_keys(config().allowed_signers, folder.allowed_signers(), "allowed_signers"));
  if (!config().revoked_signers.empty())
    NOTP_TRY(copy_keys(config().revoked_signers, folder.revoked_signers(), "revoked_signers"));
  if (config().gpg_home.empty()) return {};
  NOTP_TRY(write_file(folder.keys() / "gpg.conf", kGpgSettings, 0600));
  for (const char* name : {"pubring.kbx", "pubring.gpg"})
    if (fs::exists(config().gpg_home / name, error))
      return copy_keys(config().gpg_home / name, folder.keys() / name, "gpg_home");
  return fail(ErrorCode::kConfig,
              fmt::format("gpg_home: {} has no pubring.kbx: import the signers' public keys with "
                          "'gpg --homedir'",
                          config().gpg_home.string()));
}

Result<bool> UpstreamVerifier::is_good_without_revocations(
    const std::vector<std::string>& words) const {
  std::vector<std::string> again = {"-c", "gpg.ssh.revocationFile="};
  again.insert(again.end(), words.begin(), words.end());
  NOTP_ASSIGN(const GitAnswer answer, repository_.ask(std::move(again)));
  return answer.status == 0;
}

Result<UpstreamSigner> UpstreamVerifier::verify_object(GitTrees& trees, const std::string& id,
                                                       std::string_view type,
                                                       const std::string& shown) const {
  NOTP_ASSIGN(const std::optional<GitObjects::Object> object, trees.object(id, kObjectBytesMax));
  if (!object || object->type != type)
    return fail(ErrorCode::kSignature, fmt::format("{} is not a {}", shown, type));
  const SignatureKind kind = type == "tag" ? signature_kind_of_tag(object->content)
                                           : signature_kind_of_commit(object->content);
  if (kind == SignatureKind::kNone)
    return fail(ErrorCode::kSignature, fmt::format("{} is not signed", shown));
  const bool is_ssh = kind == SignatureKind::kSsh;
  if (kind == SignatureKind::kOther ||
      (is_ssh ? config().allowed_signers.empty() : config().gpg_home.empty()))
    return fail(ErrorCode::kSignature,
                fmt::format("{} is signed, but not with {}", shown,
                            config().gpg_home.empty()          ? "SSH"
                            : config().allowed_signers.empty() ? "OpenPGP"
                                                               : "SSH or OpenPGP"));
  const std::vector<std::string> words = {fmt::format("verify-{}", type), "--raw", id};
  NOTP_ASSIGN(const GitAnswer answer, repository_.ask(words));
  const bool is_good = answer.status == 0;
  auto signer =
      is_ssh ? ssh_signer_of(is_good, answer.error) : gpg_signer_of(is_good, answer.error);
  if (signer) return signer;
  Error error = std::move(signer).error();
  if (is_ssh && error.code == ErrorCode::kSignature && !config().revoked_signers.empty()) {
    NOTP_ASSIGN(const bool is_revoked, is_good_without_revocations(words));
    if (is_revoked) error = {ErrorCode::kRevoked, "is signed by a key that is revoked", {}};
  }
  error.message = fmt::format("{} {}", shown, error.message);
  return std::unexpected(std::move(error));
}

Result<UpstreamSigner> UpstreamVerifier::verify_tag(GitTrees& trees) const {
  const std::string name = tip_.ref.substr(std::min(kTags.size(), tip_.ref.size()));
  const std::string shown = fmt::format("the tag {}", name);
  if (tip_.tag_object.empty())
    return fail(ErrorCode::kSignature,
                fmt::format("{} is a lightweight one, which cannot be signed: make it with 'git "
                            "tag -s'",
                            shown));
  NOTP_ASSIGN(const std::optional<GitObjects::Object> object,
              trees.object(tip_.tag_object, kObjectBytesMax));
  if (!object || object->type != "tag")
    return fail(ErrorCode::kSignature, fmt::format("{} is not a tag object", shown));
  auto tag = parse_tag(object->content);
  if (!tag) return std::unexpected(std::move(tag).error().in(shown));
  if (tag->name != name)
    return fail(ErrorCode::kSignature,
                fmt::format("{} is signed as the tag '{}'", shown, printable(tag->name)));
  if (tag->type != "commit" || tag->object != tip_.commit)
    return fail(ErrorCode::kSignature,
                fmt::format("{} is signed for the {} {}, not for the commit {}", shown,
                            printable(tag->type), short_id(tag->object), short_id(tip_.commit)));
  return verify_object(trees, tip_.tag_object, "tag", shown);
}

Result<UpstreamSigner> UpstreamVerifier::verify_commit(GitTrees& trees,
                                                       const std::string& id) const {
  return verify_object(trees, id, "commit", fmt::format("the commit {}", short_id(id)));
}

// The commits from which the tip has its content at `path` unchanged, itself first: the head of a
// branch that was merged, or a commit that only adds a signature. What a commit with other content
// has in its history was replaced since: whoever merges it again brings no signatures back.
Result<std::vector<std::string>> UpstreamVerifier::unchanged_commits(GitTrees& trees) const {
  NOTP_ASSIGN(const std::optional<std::string> folder, trees.folder_in(tip_.commit, config().path));
  std::vector<std::string> same;
  std::set<std::string> seen, others;  // others: have other content, or were not looked at
  std::deque<std::string> todo = {tip_.commit};
  while (!todo.empty()) {
    const std::string commit = std::move(todo.front());
    todo.pop_front();
    if (!seen.insert(commit).second) continue;
    bool is_same = false;
    if (same.size() < kSameContentCommitsMax) {
      NOTP_ASSIGN(const std::optional<std::string> found, trees.folder_in(commit, config().path));
      is_same = found == folder;
    }
    if (!is_same) {
      others.insert(commit);
      continue;
    }
    same.push_back(commit);
    NOTP_ASSIGN(const std::vector<std::string> parents, repository_.parents_of(commit));
    todo.insert(todo.end(), parents.begin(), parents.end());
    if (todo.size() + others.size() > kOtherCommitsMax)
      return fail(ErrorCode::kSignature,
                  fmt::format("the commit {} has too many merges before it to look for further "
                              "signers: one of them has to sign it, or a commit on it",
                              short_id(tip_.commit)));
  }
  NOTP_ASSIGN(const std::set<std::string> current,
              repository_.history_without(tip_.commit, {others.begin(), others.end()}));
  std::erase_if(same, [&](const std::string& commit) { return !current.contains(commit); });
  same.resize(std::min(same.size(), kFurtherSignaturesMax));
  return same;
}

Result<void> UpstreamVerifier::add_further_signers(GitTrees& trees) {
  if (signers_.count() >= config().signers_min) return {};
  NOTP_ASSIGN(const std::vector<std::string> commits, unchanged_commits(trees));
  for (const std::string& commit : commits) {
    auto signer = verify_commit(trees, commit);
    if (signer)
      signers_.add(*std::move(signer));
    else if (!is_about_signature(signer.error().code))
      return std::unexpected(std::move(signer).error());
    if (signers_.count() >= config().signers_min) break;
  }
  return {};
}

Result<std::string> UpstreamVerifier::run() {
  if (config().verify == VerifyMode::kNone) return std::string();
  NOTP_TRY(prepare_keys());
  NOTP_ASSIGN(GitTrees trees, repository_.open_trees());
  if (config().verify != VerifyMode::kHead) {
    NOTP_ASSIGN(UpstreamSigner signer, verify_tag(trees));
    signers_.add(std::move(signer));
  }
  if (config().verify != VerifyMode::kTag) {
    NOTP_ASSIGN(UpstreamSigner signer, verify_commit(trees, tip_.commit));
    signers_.add(std::move(signer));
  }
  NOTP_TRY(add_further_signers(trees));
  if (signers_.count() >= config().signers_min) return signers_.text();
  return fail(
      ErrorCode::kSignature,
      fmt::format("the content of {} is signed by {} of {} signers: {}", short_id(tip_.commit),
                  signers_.count(), config().signers_min, signers_.text()));
}

}  // namespace notp::cli
