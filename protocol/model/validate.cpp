#include "protocol/model/validate.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <ranges>
#include <tuple>

#include "common/json/yaml.hpp"
#include "common/limits.hpp"
#include "common/rego/tokens_module.hpp"
#include "common/rego/txn_module.hpp"
#include "protocol/model/data.hpp"
#include "protocol/model/keys.hpp"
#include "protocol/model/roots.hpp"
#include "protocol/model/test_code.hpp"

namespace notp::model {
namespace {

// Returns keys["login-orders"] for "keys/login-orders/data.json".
std::string key_reference(std::string_view place) {
  const DataPath path = data_path_of(place);
  return fmt::format("keys[\"{}\"]", path.back());
}

std::string key_set_advice(std::string_view place) {
  return fmt::format(
      "data.keys holds JWK Sets alone, each in keys/<issuer>/data.json: move it to {}, which "
      "policies find as data.{}, and which a root of the manifest must contain",
      place, key_reference(place));
}

// Below data. An OPA with a token lane has there what no other engine has.
constexpr std::string_view kLaneRoot = "tokens";

// Returns why a file is not allowed in a model; empty when it is.
std::string kind_rule(std::string_view path) {
  if (path.starts_with('.') || path.find("/.") != std::string_view::npos)
    return "a hidden file or folder; OPA skips some of them";
  if (path == kManifestPath || is_data_file(path)) return {};
  const std::string_view name = path.substr(path.rfind('/') + 1);
  if (is_policy_file(name)) return {};
  if (name == kManifestPath) return "a model has one manifest.json, at its top";
  if (const std::string place = key_set_place(path); !place.empty() && name.ends_with(".json"))
    return key_set_advice(place);
  if (name.ends_with(".json"))
    return "the folder is the data path: put it into a folder of its name, as data.json";
  if (name.ends_with(".yaml") || name.ends_with(".yml"))
    return "the folder is the data path: put it into a folder of its name, as data.yaml";
  return "a model holds *.rego, data.json, data.yaml and one manifest.json; take it out";
}

class Validator {
 public:
  Validator(const Tree& tree, const BlobLoader& load, rego::ModelChecker* engine,
            const ValidationOptions& options)
      : tree_(tree), load_(load), engine_(engine), options_(options) {}

  Result<ModelReport> run() {
    check_kinds();
    NOTP_TRY(check_manifest());
    check_uses();
    NOTP_TRY(check_data());
    NOTP_TRY(check_policies());
    if (report_.findings.empty())
      for (const auto& [path, content] : apart_) options_.known->keep(path, content);
    sort_and_cut();
    return std::move(report_);
  }

 private:
  void add(std::string_view path, TextPosition at, std::string rule, std::string message) {
    report_.findings.push_back(
        {std::string(path), at.line, at.column, std::move(rule), std::move(message)});
  }

  void check_kinds() {
    for (const auto& [path, entry] : tree_.files())
      if (const auto rule = kind_rule(path); !rule.empty()) add(path, {}, "file-kind", rule);
  }

  Result<void> check_manifest() {
    const FileEntry* const entry = tree_.find(kManifestPath);
    if (!entry) {
      add(kManifestPath, {}, "manifest-missing",
          "a model has a manifest.json at its top; 'notp init' writes one for the policies that "
          "are there");
      return {};
    }
    NOTP_ASSIGN(const Content content, load_(entry->hash));
    auto manifest = Manifest::parse(*content);
    if (!manifest) {
      if (manifest.error().code != ErrorCode::kInvalidModel)
        return std::unexpected(std::move(manifest).error());
      const TextPosition at = position_of(manifest.error());
      for (std::string_view rest = manifest.error().message; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        add(kManifestPath, at, "manifest-schema", std::string(line));
      }
      return {};
    }
    report_.manifest = *std::move(manifest);
    roots_.emplace(report_.manifest.data_roots);
    check_partitions();
    check_lane_root();
    return {};
  }

  void check_partitions() {
    for (const auto& [path, runtime] : report_.manifest.partitions)
      if (path != "/" && !tree_.folders().contains(std::string_view(path).substr(1)))
        add(kManifestPath, {}, "manifest-partition",
            fmt::format("the partition \"{}\" is not a folder of the model", path));
  }

  // Refused here alone: a node goes on with a release from before there were lanes.
  void check_lane_root() {
    for (const std::string& root : report_.manifest.data_roots)
      if (root == kLaneRoot || root.starts_with(std::string(kLaneRoot) + "/"))
        add(kManifestPath, {}, "lane-data",
            fmt::format("/roots: \"{}\" is reserved: data.{} is what a token lane gives an OPA",
                        root, kLaneRoot));
  }

  void check_uses() {
    if (options_.uses == nullptr) {
      if (engine_ != nullptr && !report_.manifest.uses.empty())
        add(kManifestPath, {}, "uses",
            "its policies cannot be judged without the ledgers that it uses");
      return;
    }
    for (const std::string& problem : options_.uses->problems)
      add(kManifestPath, {}, "uses", problem);
  }

  // Each call of a function of a missing model would be a separate finding.
  bool has_all_it_uses() const {
    return options_.uses ? options_.uses->problems.empty() : report_.manifest.uses.empty();
  }

  Result<void> check_data() {
    if (options_.known != nullptr)
      for (const auto& [path, entry] : tree_.files())
        if (is_data_file(path)) ++data_folders_[std::string(data_folder(path))];
    DataMerge merge;
    uint64_t yaml_bytes = 0;
    for (const auto& [path, entry] : tree_.files()) {
      if (!is_data_file(path)) continue;
      if (path.ends_with(".yaml")) yaml_bytes += entry.bytes;
      if (yaml_bytes > limits::kModelYamlBytesMax) {
        data_is_whole_ = false;
        add(path, {}, "data-size",
            fmt::format("more than {} bytes of YAML in the model; make large documents JSON",
                        limits::kModelYamlBytesMax));
        break;
      }
      const bool apart = options_.known != nullptr && lies_apart(path, entry);
      if (apart && options_.known->knows(path, entry.hash)) continue;
      NOTP_ASSIGN(const Content content, load_(entry.hash));
      if (apart) {
        NOTP_ASSIGN(const bool is_good, differs_little(path, *content));
        if (is_good) {
          apart_.emplace_back(path, entry.hash);
          continue;
        }
      }
      auto document = parse_data_file(path, *content);
      if (!document) {
        data_is_whole_ = false;
        add_format_findings(path, *content, document.error());
        continue;
      }
      if (data_path_of(path).empty() && !document->is_object()) {
        data_is_whole_ = false;
        add(path, {}, "data-format", std::string(kTopMustBeObject));
        continue;
      }
      check_document(path, *document);
      if (apart) {
        apart_.emplace_back(path, entry.hash);
        continue;
      }
      const auto clash = merge.add(data_path_of(path), *std::move(document));
      if (!clash) continue;
      data_is_whole_ = false;
      NOTP_ASSIGN(const std::string other, clash_partner(tree_, load_, path, *clash));
      add(path, {}, "data-clash",
          fmt::format("{} and {} both define data.{}", other, path, data_path_text(*clash)));
    }
    return {};
  }

  // For YAML it reports every place at once, so that a person sees how much to rewrite.
  void add_format_findings(const std::string& path, ByteView content, const Error& error) {
    if (path.ends_with(".yaml")) {
      const YamlFault* last = nullptr;
      const std::vector<YamlFault> faults = find_yaml_faults(content);
      for (const YamlFault& fault : faults) {
        const bool is_same =
            last && last->position.line == fault.position.line && last->message == fault.message;
        if (!is_same) add(path, fault.position, "data-format", fault.message);
        last = &fault;
      }
      return;
    }
    add(path, position_of(error), "data-format", error.message);
  }

  // Whether a document that lies_apart() differs from one that was found good at its path only in
  // values that are good, too.
  Result<bool> differs_little(const std::string& path, ByteView content) const {
    const FileEntry* const earlier = options_.before ? options_.before->find(path) : nullptr;
    if (earlier == nullptr || !options_.known->knows(path, earlier->hash)) return false;
    const size_t folders = data_path_of(path).size();
    if (folders >= limits::kJsonDepthMax) return false;
    NOTP_ASSIGN(const Content accepted, load_(earlier->hash));
    return check_changed(*accepted, content, limits::kJsonDepthMax - folders).has_value();
  }

  // Whether it is a large document within the roots that no other one overlaps: it cannot clash,
  // and only its form is checked.
  bool lies_apart(const std::string& path, const FileEntry& entry) const {
    if (entry.bytes < limits::kSmallFileBytesMax || !path.ends_with(".json")) return false;
    const DataPath at = data_path_of(path);
    if (at.empty() || at.front() == "keys") return false;
    if (!roots_ || !roots_->contain(at)) return false;
    const auto own = data_folders_.find(data_folder(path));
    if (own->second != 1) return false;
    const auto next = std::next(own);
    if (next != data_folders_.end() && next->first.starts_with(own->first)) return false;
    for (std::string_view above = own->first; !above.empty();) {
      above.remove_suffix(1);
      above = above.substr(0, above.rfind('/') + 1);
      if (data_folders_.contains(above)) return false;
    }
    return true;
  }

  // Returns "a/b/" for "a/b/data.json".
  static std::string_view data_folder(std::string_view path) {
    return path.substr(0, path.rfind('/') + 1);
  }

  void check_document(const std::string& path, const json::value& document) {
    DataPath at = data_path_of(path);
    if (at.size() + depth_of(document) > limits::kJsonDepthMax)
      add(path, {}, "data-depth",
          fmt::format("folders and document are nested deeper than {} levels",
                      limits::kJsonDepthMax));
    check_keys(path, at, document);
    if (roots_ && !is_test_data(path, report_.manifest.data_roots))
      check_data_roots(path, at, document);
  }

  // data.keys holds only JWK Sets, so that a private key cannot enter in another form.
  void check_keys(const std::string& path, const DataPath& at, const json::value& document) {
    if (is_key_set_path(path)) {
      for (KeyFinding& finding : check_key_set(document))
        report_.findings.push_back(
            {path, 0, 0, std::move(finding.rule), std::move(finding.message)});
      return;
    }
    const bool top_has_keys = at.empty() && document.get_object().contains("keys");
    if (top_has_keys || (!at.empty() && at.front() == "keys"))
      add(path, {}, "keys-format",
          top_has_keys || at.size() < 2 ? "data.keys holds JWK Sets alone, each in a file "
                                          "keys/<issuer>/data.json of its own, as "
                                          "keys/login/data.json"
                                        : key_set_advice(free_key_set_place(path)));
  }

  // Returns a place without a file.
  std::string free_key_set_place(const std::string& path) const {
    std::string place = key_set_place(path);
    for (int i = 2; tree_.find(place) != nullptr; ++i)
      place = fmt::format("keys/{}-{}/data.json", data_path_of(key_set_place(path)).back(), i);
    return place;
  }

  // OPA refuses a bundle with data outside of its roots; reports the first such place.
  void check_data_roots(const std::string& path, const DataPath& at, const json::value& document) {
    if (const auto outside = roots_->outside(at, document))
      add(path, {}, "data-roots",
          fmt::format("data.{} is outside of the manifest's roots ({})", data_path_text(*outside),
                      fmt::join(report_.manifest.data_roots, ", ")));
  }

  Result<void> check_policies() {
    rego::CheckRequest request;
    bool all_readable = true;
    for (const std::string& path : rego_paths(tree_, true)) {
      const FileEntry& entry = *tree_.find(path);
      if (entry.bytes > limits::kRegoFileBytesMax) {
        add(path, {}, "rego-size",
            fmt::format("{} bytes, {} are allowed; data belongs into data.json", entry.bytes,
                        limits::kRegoFileBytesMax));
        all_readable = false;
        continue;
      }
      if (!knows_text(path, entry)) {
        NOTP_ASSIGN(const Content content, load_(entry.hash));
        if (const auto checked = check_encoding(*content, ByteOrderMark::kSkipped); !checked) {
          add(path, position_of(checked.error()), "rego-format", checked.error().message);
          all_readable = false;
          continue;
        }
      }
      request.modules.push_back({path, entry.hash, entry.bytes,
                                 report_.manifest.rego_version_of(path), is_test_module(path)});
    }
    // A model without some module or document would compile into findings about the missing parts.
    if (!all_readable || !has_all_it_uses() || engine_ == nullptr) return {};
    return judge(std::move(request));
  }

  // The previous version has it, so it was checked.
  bool knows_text(std::string_view path, const FileEntry& entry) const {
    if (options_.known == nullptr || options_.before == nullptr) return false;
    const FileEntry* const earlier = options_.before->find(path);
    return earlier != nullptr && earlier->hash == entry.hash;
  }

  Result<void> judge(rego::CheckRequest request) {
    if (data_is_whole_) add_documents(request);
    // Tests of a model with other faults would only add noise.
    request.run_tests = report_.findings.empty();
    request.coverage = options_.coverage;
    request.allow = options_.allow;
    request.load = load_;
    NOTP_TRY(add_uses(request));
    rego::add_tokens_module(request);
    rego::add_txn_module(request);
    NOTP_ASSIGN(rego::CheckReport judged, engine_->check(request));
    // Data at the place of our own module is a fault that is named already, by its own path.
    const bool has_fault = !report_.findings.empty();
    for (const rego::Diagnostic& found : judged.findings)
      if (!has_fault || !found.path.starts_with("notp:")) add(found);
    report_.coverage_json = std::move(judged.coverage_json);
    report_.builtins = std::move(judged.builtins);
    report_.features = std::move(judged.features);
    check_builtins();
    check_package_roots(judged.packages);
    if (report_.findings.empty()) count_tests(judged);
    if (options_.test_results) report_.test_results = std::move(judged.tests);
    return {};
  }

  // Adds the used models, with the built-ins that they may use.
  Result<void> add_uses(rego::CheckRequest& request) const {
    if (options_.uses == nullptr) return {};
    for (const UsedModel& used : options_.uses->models) {
      NOTP_TRY(add_used(used, request));
      for (const std::string& builtin : used.allow)
        if (std::ranges::find(request.allow, builtin) == request.allow.end())
          request.allow.push_back(builtin);
    }
    return {};
  }

  // The compiler also accepted the built-ins of used models.
  void check_builtins() {
    if (options_.uses == nullptr) return;
    for (const UsedModel& used : options_.uses->models)
      for (const std::string& builtin : used.allow)
        if (std::ranges::find(options_.allow, builtin) == options_.allow.end() &&
            std::ranges::find(report_.builtins, builtin) != report_.builtins.end())
          add({}, {}, "rego-compile",
              fmt::format("undefined function {}: {} may call it, this model may not", builtin,
                          used.ledger.text()));
  }

  void add_documents(rego::CheckRequest& request) const {
    for (const auto& [path, entry] : tree_.files()) {
      if (!is_data_file(path)) continue;
      request.documents.push_back({path, data_path_of(path), entry.hash, entry.bytes,
                                   rego::document_format_of(path),
                                   is_test_data(path, report_.manifest.data_roots)});
      const FileEntry* const earlier = options_.before ? options_.before->find(path) : nullptr;
      if (earlier != nullptr && earlier->hash != entry.hash)
        request.before.emplace(path, earlier->hash);
    }
  }

  void add(const rego::Diagnostic& found) {
    if (found.warning && is_used_path(found.path)) return;
    const bool is_ours = found.code == rego::kTestOnlyCode || found.code == rego::kKeySetCode ||
                         found.code == rego::kLaneDataCode;
    const bool has_code = !found.code.empty() && !is_ours;
    ModelFinding finding{
        found.path, 0, 0, std::string(rule_of(found)),
        has_code ? fmt::format("{}: {}{}", found.code, found.message, hint_of(found.message))
                 : found.message};
    const TextPosition at = to_position(found.row, found.column);
    finding.line = at.line;
    finding.column = at.column;
    (found.warning ? report_.warnings : report_.findings).push_back(std::move(finding));
  }

  // A called function that this model does not own belongs to another ledger.
  std::string_view hint_of(std::string_view message) const {
    constexpr std::string_view kFront = "undefined function data.";
    if (!message.starts_with(kFront) || !roots_) return {};
    DataPath path;
    for (const auto part : std::views::split(message.substr(kFront.size()), '.'))
      path.emplace_back(part.begin(), part.end());
    if (roots_->contain(path)) return {};
    return " (functions of another ledger are known when the manifest's \"uses\" names it: "
           "\"uses\": [{\"ledger\": \"ZONE/NAME\"}])";
  }

  static std::string_view rule_of(const rego::Diagnostic& found) {
    if (found.code.empty()) return "rego-version";
    if (found.code == rego::kTestOnlyCode) return "rego-test-only";
    if (found.code == rego::kKeySetCode) return "keys-unusable";
    if (found.code == rego::kLaneDataCode) return "lane-data";
    return found.warning ? "rego-strict" : "rego-compile";
  }

  void check_package_roots(const std::map<std::string, std::vector<std::string>>& packages) {
    if (!roots_) return;
    for (const auto& [path, package] : packages) {
      if (is_used_path(path)) continue;
      // A test belongs to the root that it tests, whatever its package.
      if (is_test_module(path) || roots_->contain(package)) continue;
      const bool is_system = !package.empty() && package.front() == "system";
      add(path, {}, "rego-roots",
          fmt::format("package {} is outside of the manifest's roots ({}): {}",
                      data_path_text(package), fmt::join(report_.manifest.data_roots, ", "),
                      is_system ? "rename it; data.system is the agent's"
                                : "add a root that contains it, or rename it"));
    }
  }

  void count_tests(const rego::CheckReport& judged) {
    report_.tests.passed = static_cast<uint32_t>(judged.tests_known);
    for (const rego::TestResult& result : judged.tests) {
      if (result.outcome == rego::TestOutcome::kPass) {
        ++report_.tests.passed;
      } else if (result.outcome == rego::TestOutcome::kSkipped) {
        ++report_.tests.skipped;
      } else {
        ++report_.tests.failed;
        add(result.path, to_position(result.row, 0), "test-failed",
            fmt::format("{}.{}: {}", result.package, result.name, result.message));
      }
    }
  }

  void sort_and_cut() {
    const auto key = [](const ModelFinding& f) {
      return std::tie(f.path, f.line, f.column, f.rule, f.message);
    };
    std::ranges::sort(report_.findings, {}, key);
    std::ranges::sort(report_.warnings, {}, key);
    if (report_.warnings.size() > limits::kFindingsMax)
      report_.warnings.resize(limits::kFindingsMax);
    if (report_.findings.size() <= limits::kFindingsMax) return;
    report_.findings_left_out = report_.findings.size() - limits::kFindingsMax;
    report_.findings.resize(limits::kFindingsMax);
  }

  static TextPosition to_position(int line, int column) {
    return {static_cast<uint32_t>(std::max(line, 0)), static_cast<uint32_t>(std::max(column, 0))};
  }

  const Tree& tree_;
  const BlobLoader& load_;
  rego::ModelChecker* const engine_;
  const ValidationOptions& options_;
  ModelReport report_;
  std::optional<DataRoots> roots_;                   // nullopt when the manifest is not valid
  std::vector<std::pair<std::string, Hash>> apart_;  // documents that lies_apart(), found good
  std::map<std::string, size_t, std::less<>> data_folders_;  // with their number of data files
  bool data_is_whole_ = true;                                // every document was read and merged
};

}  // namespace

Result<ModelReport> validate_model(const Tree& tree, const BlobLoader& load,
                                   rego::ModelChecker* engine, const ValidationOptions& options) {
  return Validator(tree, load, engine, options).run();
}

std::string findings_text(const std::vector<ModelFinding>& findings) {
  std::string text;
  for (const ModelFinding& finding : findings) {
    text += finding.path.empty() ? "(model)" : finding.path;
    if (finding.line != 0) text += fmt::format(":{}", finding.line);
    text += fmt::format(": {}: ", finding.rule);
    for (const char c : finding.message)
      text += c == '\n' ? std::string_view("\n\t") : std::string_view(&c, 1);
    text += '\n';
  }
  return text;
}

std::vector<std::string> rego_paths(const Tree& tree, bool with_tests) {
  std::vector<std::string> paths;
  for (const auto& [path, entry] : tree.files())
    if (path.ends_with(kRegoSuffix) && (with_tests || !is_test_module(path))) paths.push_back(path);
  return paths;
}

}  // namespace notp::model
