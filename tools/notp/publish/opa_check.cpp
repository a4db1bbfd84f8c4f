#include "tools/notp/publish/opa_check.hpp"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/json/json.hpp"
#include "common/limits.hpp"
#include "common/rego/tokens_module.hpp"
#include "common/rego/txn_module.hpp"
#include "common/storage/files.hpp"
#include "protocol/model/data.hpp"
#include "protocol/model/test_code.hpp"
#include "tools/notp/child_program.hpp"
#include "tools/notp/temporary_folder.hpp"
#include "tools/notp/workspace.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kOutputBytesMax = 64 << 20;
constexpr const char* kHint = "--opa names an Open Policy Agent";

struct Ran {
  int code = 0;
  Bytes output, errors;
};

std::unexpected<Error> cannot_run(const std::string& program, std::string_view why) {
  return std::unexpected(
      Error{ErrorCode::kUsage, fmt::format("cannot run {}: {}", program, why), {}}.with("hint",
                                                                                        kHint));
}

Result<Ran> run(const std::vector<std::string>& command, const fs::path& scratch) {
  const fs::path output = scratch / "output", errors = scratch / "errors";
  auto started = start_program(command, environ, output, errors);
  if (!started) return std::unexpected(std::move(started).error().with("hint", kHint));
  int status = 0;
  while (::waitpid(*started, &status, 0) < 0)
    if (errno != EINTR) return cannot_run(command.front(), std::strerror(errno));
  Ran ran{WIFEXITED(status) ? WEXITSTATUS(status) : 128, {}, {}};
  NOTP_ASSIGN(ran.output, read_file(output, kOutputBytesMax));
  NOTP_ASSIGN(ran.errors, read_file(errors, kOutputBytesMax));
  return ran;
}

// Writes the model as a bundle: .manifest holds each file's version of Rego. Without roots: they
// are checked already, and OPA would refuse test code outside of them.
Result<void> write_bundle(const fs::path& folder, const model::Tree& tree,
                          const model::BlobLoader& load, const model::Manifest& manifest,
                          bool with_tests) {
  json::object versions;
  std::vector<std::string> paths = model::rego_paths(tree, with_tests);
  for (const auto& [path, entry] : tree.files())
    if (model::is_data_file(path) &&
        (with_tests || !model::is_test_data(path, manifest.data_roots)))
      paths.push_back(path);
  for (const std::string& path : paths) {
    if (path.ends_with(".rego") && manifest.rego_version_of(path) != 1)
      versions["/" + path] = manifest.rego_version_of(path);
    NOTP_ASSIGN(const model::Content bytes, load(tree.find(path)->hash));
    NOTP_TRY(make_folders((folder / path).parent_path()));
    NOTP_TRY(write_quickly(folder / path, *bytes));
  }
  json::object bundle{{"rego_version", 1}};
  if (!versions.empty()) bundle["file_rego_versions"] = std::move(versions);
  return write_quickly(folder / ".manifest", json::serialize(bundle));
}

std::string text_at(const json::object& object, std::string_view name) {
  const json::value* found = object.if_contains(name);
  return found && found->is_string() ? std::string(found->as_string()) : std::string();
}

struct Place {
  std::string path;
  uint32_t row = 0, column = 0;
};

Place place_of(const json::object& holder, const fs::path& folder) {
  const json::value* location = holder.if_contains("location");
  if (location == nullptr || !location->is_object()) return {};
  const json::object& at = location->get_object();
  Place place{text_at(at, "file"), 0, 0};
  std::string prefix = folder.string() + "/";
  if (!place.path.starts_with(prefix)) prefix.erase(0, 1);  // OPA omits the first slash
  if (place.path.starts_with(prefix)) place.path.erase(0, prefix.size());
  const auto number = [&](std::string_view name) {
    const json::value* found = at.if_contains(name);
    return found && found->is_int64() ? static_cast<uint32_t>(found->get_int64()) : 0;
  };
  place.row = number("row");
  place.column = number("col");
  return place;
}

// Parses {"errors": [{"message", "code", "location"}]} of `opa check --format json`.
void add_check_findings(const Ran& ran, const fs::path& folder, model::ModelReport& report) {
  const auto document = parse_json(ran.output.empty() ? ran.errors : ran.output);
  const json::object* top = document ? document->if_object() : nullptr;
  const json::value* errors = top ? top->if_contains("errors") : nullptr;
  if (errors == nullptr || !errors->is_array()) {
    report.findings.push_back({{}, 0, 0, "opa-check", printable(ran.errors, 2'000)});
    return;
  }
  for (const json::value& error : errors->get_array()) {
    if (!error.is_object()) continue;
    const json::object& finding = error.get_object();
    const Place place = place_of(finding, folder);
    report.findings.push_back(
        {place.path, place.row, place.column, "opa-check",
         fmt::format("{}: {}", text_at(finding, "code"), text_at(finding, "message"))});
  }
}

// Parses the array of results of `opa test --format json`; a result that did not pass has "fail" or
// "error".
void add_test_findings(const Ran& ran, const fs::path& folder, model::ModelReport& report) {
  const auto document = parse_json(ran.output);
  if (!document || !document->is_array()) {
    report.findings.push_back(
        {{}, 0, 0, "opa-test", printable(ran.errors.empty() ? ran.output : ran.errors, 2'000)});
    return;
  }
  for (const json::value& entry : document->get_array()) {
    if (!entry.is_object()) continue;
    const json::object& result = entry.get_object();
    if (!result.contains("fail") && !result.contains("error")) continue;
    const Place place = place_of(result, folder);
    report.findings.push_back(
        {place.path, place.row, 0, "opa-test",
         fmt::format("{}.{} does not pass", text_at(result, "package"), text_at(result, "name"))});
  }
}

}  // namespace

Result<void> check_with_opa(const std::string& program, const model::ModelContent& content,
                            const model::ResolvedUses* uses, model::ModelReport& report) {
  // An unreadable manifest does not give the Rego versions that OPA needs.
  if (report.manifest.partitions.empty()) return {};
  NOTP_ASSIGN(const TemporaryFolder scratch, TemporaryFolder::make("opa"));
  const fs::path bundle = scratch.path() / "bundle";
  NOTP_TRY(make_folders(bundle));
  NOTP_TRY(write_bundle(bundle, *content.tree, content.loader(), report.manifest, true));
  // No model has a file of this name. Policies that look tokens up, or verify transaction
  // tokens, need their packages.
  NOTP_TRY(write_quickly(bundle / "notp:tokens.rego", rego::opa_tokens_module({})));
  NOTP_TRY(write_quickly(bundle / "notp:txn.rego", rego::txn_module_without_rules()));
  std::vector<std::string> bundles{bundle};
  for (size_t i = 0; uses != nullptr && i < uses->models.size(); ++i) {
    const model::UsedModel& used = uses->models[i];
    NOTP_ASSIGN(const model::Content text, used.load(used.tree->find(model::kManifestPath)->hash));
    NOTP_ASSIGN(const model::Manifest manifest, model::Manifest::parse(*text));
    bundles.push_back(scratch.path() / fmt::format("used-{}", i + 1));
    NOTP_TRY(make_folders(bundles.back()));
    NOTP_TRY(write_bundle(bundles.back(), *used.tree, used.load, manifest, false));
  }
  // A bundle without roots owns everything, so OPA accepts only one: several are passed as folders.
  const auto with_bundles = [&](std::vector<std::string> words) {
    if (bundles.size() == 1) words.insert(words.begin() + 2, "--bundle");
    words.insert(words.end(), bundles.begin(), bundles.end());
    return words;
  };
  NOTP_ASSIGN(const Ran version, run({program, "version"}, scratch.path()));
  if (version.code != 0 || !version.output.contains("Version:"))
    return cannot_run(program, "'version' does not answer as an Open Policy Agent does");
  NOTP_ASSIGN(const Ran checked,
              run(with_bundles({program, "check", "--format", "json"}), scratch.path()));
  if (checked.code != 0) {
    add_check_findings(checked, bundle, report);
    return {};
  }
  NOTP_ASSIGN(const Ran tested,
              run(with_bundles({program, "test", "--format", "json"}), scratch.path()));
  // 2: a test did not pass; a bundle without tests does not fail.
  if (tested.code != 0) add_test_findings(tested, bundle, report);
  return {};
}

}  // namespace notp::cli
