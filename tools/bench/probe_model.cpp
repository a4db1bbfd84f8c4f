#include "tools/bench/probe_model.hpp"

#include <fmt/format.h>

#include "common/json/json.hpp"
#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "tools/bench/corpus_text.hpp"

namespace notp::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRoot = "notp_bench";
const std::string kRulePath = "notp_bench/rule.rego", kManifestPath = "manifest.json",
                  kRecordRulePath = "notp_bench/record.rego",
                  kDocumentPath = "notp_bench/large/data.json";
// Numbers of equal length: a change of a record moves nothing after it.
constexpr int64_t kNumberFirst = 100'000;
constexpr size_t kDigits = 6;

std::string rule_text(int64_t number) {
  return fmt::format("package {}\n\nrule := {}\n", kRoot, number);
}

}  // namespace

std::string ProbeModel::path_of(Change change) {
  return fmt::format("{}/{}", kRoot, change == Change::kRule ? "rule" : "record");
}

const std::string& ProbeModel::document_path() { return kDocumentPath; }

// Uses the corpus's manifest, or a new one, with the probe's root.
Result<void> ProbeModel::write_manifest() {
  const auto text = read_file(folder() / kManifestPath, limits::kManifestBytesMax);
  NOTP_ASSIGN(json::value manifest, parse_json(text ? *text : manifest_text()));
  try {
    json::array roots = text ? manifest.at("roots").as_array() : json::array{};
    roots.emplace_back(kRoot);
    for (const json::value& root : roots) roots_.emplace_back(root.as_string());
    manifest.as_object()["roots"] = std::move(roots);
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInvalidModel, "the corpus's manifest names no roots");
  }
  return files_.write(kManifestPath, pretty_json(manifest) + "\n");
}

void ProbeModel::make_document(const ProbeModelOptions& options) {
  Chance chance(options.seed);
  std::vector<Subject> subjects;
  for (double bytes = 0; bytes < options.document_bytes;) {
    subjects.push_back(make_subject(chance));
    bytes += static_cast<double>(subject_text(subjects.back()).size() + 1);
  }
  record_ = subjects.size() / 3;
  subjects[record_].clearance = static_cast<int>(kNumberFirst);
  document_ = document_text(subjects);
  number_at_ = document_.find(fmt::format(R"("clearance":{})", kNumberFirst)) +
               std::string_view(R"("clearance":)").size();
}

Result<std::unique_ptr<ProbeModel>> ProbeModel::make(const fs::path& folder,
                                                     const ProbeModelOptions& options) {
  std::unique_ptr<ProbeModel> model(new ProbeModel(folder));
  if (!options.corpus.empty()) {
    NOTP_ASSIGN(const auto history, tagged_history(options.corpus));
    NOTP_ASSIGN(const Checkout checkout, Checkout::make(options.corpus, folder));
    NOTP_TRY(checkout.go_to(history.front()));
  }
  NOTP_TRY(make_folders(folder));
  NOTP_TRY(model->write_manifest());
  model->make_document(options);
  NOTP_TRY(model->files_.write(kRulePath, rule_text(0)));
  NOTP_TRY(model->files_.write(kRecordRulePath,
                               fmt::format("package {}\n\nrecord := "
                                           "data.{}.large.subjects[{}].clearance - {}\n",
                                           kRoot, kRoot, model->record_, kNumberFirst)));
  NOTP_TRY(model->files_.write(kDocumentPath, model->document_));
  NOTP_TRY(model->files_.load());
  return model;
}

Result<void> ProbeModel::set(Change change, int64_t number) {
  if (change == Change::kRule) return files_.replace(kRulePath, rule_text(number));
  document_.replace(number_at_, kDigits, std::to_string(kNumberFirst + number));
  return files_.replace(kDocumentPath, document_);
}

}  // namespace notp::bench
