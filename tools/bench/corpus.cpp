#include "tools/bench/corpus.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "common/storage/files.hpp"
#include "tools/bench/corpus_text.hpp"
#include "tools/bench/history.hpp"

namespace notp::bench {
namespace {

namespace fs = std::filesystem;

constexpr size_t kTeams = 20, kDocuments = 50, kIssuers = 10, kKeysOfIssuer = 4;
constexpr double kSmallestBytes = 10e3, kLargestBytes = 20e6, kMediumBytes = 5e6;
constexpr TimeMs kGitMs = 600'000;

class Writer {
 public:
  Writer(fs::path folder, const CorpusOptions& options)
      : folder_(std::move(folder)),
        chance_(options.seed),
        scale_(options.scale),
        policies_of_team_(std::max<size_t>(2, static_cast<size_t>(100 * options.scale))) {}

  Result<void> run();

 private:
  // Not write_file(): 2,000 fsyncs of a generated workload are unnecessary.
  Result<void> write(const std::string& path, const std::string& text);
  Result<std::string> read(const std::string& path) const {
    return read_file(folder_ / path, 64 << 20);
  }
  Result<void> git(std::vector<std::string> words);
  Result<void> commit(const std::string& tag);

  Result<void> write_model();
  Result<void> write_document(size_t number, const std::vector<Subject>& subjects) {
    return write(fmt::format("data/d{:02}/data.json", number), document_text(subjects));
  }
  Result<void> write_keys();
  Result<void> write_policies(const std::string& team, size_t count);
  double document_bytes(size_t number) const {
    const double step = static_cast<double>(number) / (kDocuments - 1);
    return scale_ * kSmallestBytes * std::pow(kLargestBytes / kSmallestBytes, step);
  }
  // Replaces `from` in a policy: once, or everywhere.
  Result<void> edit_policy(const std::string& path, std::string_view from, std::string_view to,
                           bool everywhere);
  std::vector<Subject> make_subjects(double bytes);

  const fs::path folder_;
  Chance chance_;
  const double scale_;
  const size_t policies_of_team_;
  size_t medium_ = 0;                    // number of the document of some 5 MB
  std::vector<Subject> large_, edited_;  // of the largest document and of the medium one
  std::vector<std::vector<std::string>> keys_;
  int commits_ = 0;
};

void sort_by_id(std::vector<Subject>& subjects) { std::ranges::sort(subjects, {}, &Subject::id); }

Result<void> Writer::write(const std::string& path, const std::string& text) {
  std::error_code failed;
  fs::create_directories((folder_ / path).parent_path(), failed);
  std::ofstream out(folder_ / path, std::ios::binary);
  out << text;
  out.close();
  if (!out) return fail(ErrorCode::kIo, fmt::format("cannot write {}", (folder_ / path).string()));
  return {};
}

Result<void> Writer::git(std::vector<std::string> words) {
  Command command = git_command(folder_, std::move(words));
  const std::string date = fmt::format("2026-01-01T00:00:{:02}Z", commits_);
  for (const char* who : {"AUTHOR", "COMMITTER"}) {
    command.environment.emplace_back(fmt::format("GIT_{}_NAME", who), "notp-bench");
    command.environment.emplace_back(fmt::format("GIT_{}_EMAIL", who), "bench@example.com");
    command.environment.emplace_back(fmt::format("GIT_{}_DATE", who), date);
  }
  NOTP_TRY(bench::run(command, kGitMs));
  return {};
}

Result<void> Writer::commit(const std::string& tag) {
  ++commits_;
  NOTP_TRY(git({"add", "-A"}));
  NOTP_TRY(git({"-c", "gc.auto=0", "commit", "-q", "-m", tag}));
  return git({"tag", tag});
}

std::vector<Subject> Writer::make_subjects(double bytes) {
  std::vector<Subject> subjects;
  for (double written = 0; written < bytes;) {
    subjects.push_back(make_subject(chance_));
    written += static_cast<double>(subject_text(subjects.back()).size() + 1);
  }
  sort_by_id(subjects);
  return subjects;
}

Result<void> Writer::write_policies(const std::string& team, size_t count) {
  for (size_t i = 0; i < count; ++i)
    NOTP_TRY(write(fmt::format("policies/{}/p{:03}.rego", team, i), policy_text(chance_, team, i)));
  return {};
}

Result<void> Writer::write_keys() {
  for (size_t k = 0; k < kIssuers; ++k)
    NOTP_TRY(write(fmt::format("keys/issuer{}/data.json", k), key_set_text(keys_[k])));
  return {};
}

Result<void> Writer::write_model() {
  NOTP_TRY(write("manifest.json", manifest_text()));
  for (size_t team = 0; team < kTeams; ++team)
    NOTP_TRY(write_policies(fmt::format("team{:02}", team), policies_of_team_));
  for (size_t k = 0; k < kDocuments; ++k)
    if (std::abs(document_bytes(k) - kMediumBytes * scale_) <
        std::abs(document_bytes(medium_) - kMediumBytes * scale_))
      medium_ = k;
  for (size_t k = 0; k < kDocuments; ++k) {
    std::vector<Subject> subjects = make_subjects(document_bytes(k));
    NOTP_TRY(write_document(k, subjects));
    if (k == medium_)
      edited_ = std::move(subjects);
    else if (k + 1 == kDocuments)
      large_ = std::move(subjects);
  }
  for (size_t k = 0; k < kIssuers; ++k) {
    keys_.emplace_back();
    for (size_t i = 0; i < kKeysOfIssuer; ++i) keys_[k].push_back(key_text(chance_, k % 2 == 1));
  }
  return write_keys();
}

Result<void> Writer::edit_policy(const std::string& path, std::string_view from,
                                 std::string_view to, bool everywhere) {
  NOTP_ASSIGN(std::string text, read(path));
  for (size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
    if (!everywhere) break;
  }
  return write(path, text);
}

Result<void> Writer::run() {
  std::error_code failed;
  if (fs::exists(folder_, failed))
    return fail(ErrorCode::kUsage, fmt::format("{} is there already", folder_.string()));
  NOTP_TRY(make_folders(folder_));
  NOTP_TRY(git({"init", "-q", "-b", "main"}));
  NOTP_TRY(write_model());
  NOTP_TRY(commit("c0"));

  NOTP_TRY(edit_policy("policies/team03/p001.rego", "risk_score < ", "risk_score < 1", false));
  NOTP_TRY(commit("c1_rule"));

  Subject& one = large_[large_.size() / 3];
  one.clearance = 9;
  one.department = "security";
  NOTP_TRY(write_document(kDocuments - 1, large_));
  NOTP_TRY(commit("c2_record"));

  for (int i = 0; i < 100; ++i) edited_.push_back(make_subject(chance_));
  sort_by_id(edited_);
  NOTP_TRY(write_document(medium_, edited_));
  NOTP_TRY(commit("c3_add100"));

  for (size_t k = 0; k < kIssuers; ++k) {
    keys_[k].erase(keys_[k].begin());
    keys_[k].push_back(key_text(chance_, k % 2 == 1));
  }
  NOTP_TRY(write_keys());
  NOTP_TRY(commit("c4_keys"));

  fs::rename(folder_ / "policies/team07", folder_ / "policies/squad07", failed);
  if (failed) return fail(ErrorCode::kIo, "cannot rename a folder: " + failed.message());
  NOTP_TRY(commit("c5_rename"));

  for (size_t i = 0; i < std::min<size_t>(50, policies_of_team_); ++i)
    NOTP_TRY(edit_policy(fmt::format("policies/team11/p{:03}.rego", i),
                         "not input.subject.suspended", "not input.subject.flags.suspended == true",
                         true));
  NOTP_TRY(commit("c6_refactor50"));

  for (size_t left = std::max<size_t>(1, large_.size() / 100); left > 0; --left) {
    Subject& subject = large_[chance_.below(large_.size())];
    subject.clearance = static_cast<int>(chance_.below(6));
    subject.updated_at = make_timestamp(chance_);
  }
  NOTP_TRY(write_document(kDocuments - 1, large_));
  NOTP_TRY(commit("c7_one_percent"));

  NOTP_TRY(write_policies(fmt::format("team{:02}", kTeams), 20));
  NOTP_TRY(commit("c8_new20"));

  for (Subject& subject : large_)
    subject.updated_at = fmt::format("2026-09-30T{}:{}:{}Z", chance_.between(10, 23),
                                     chance_.between(10, 59), chance_.between(10, 59));
  NOTP_TRY(write_document(kDocuments - 1, large_));
  return commit("c9_reexport");
}

}  // namespace

Result<void> write_corpus(const fs::path& folder, const CorpusOptions& options) {
  return Writer(folder, options).run();
}

}  // namespace notp::bench
