#include "tools/notp/workspace.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <ranges>
#include <sstream>

#include "common/json/json.hpp"
#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "tools/notp/output.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kStateBytesMax = 64 << 10;

Result<WorkspaceState> state_from(const json::object& object) {
  try {
    WorkspaceState state;
    state.trust_domain = json::value_to<std::string>(object.at("trust_domain"));
    NOTP_ASSIGN(state.ledger,
                model::LedgerId::parse(json::value_to<std::string>(object.at("ledger"))));
    state.version = json::value_to<uint64_t>(object.at("version"));
    NOTP_ASSIGN(state.release_hash,
                Hash::from_hex(json::value_to<std::string>(object.at("release"))));
    NOTP_ASSIGN(state.content_root,
                Hash::from_hex(json::value_to<std::string>(object.at("content_root"))));
    if (const json::value* proposed = object.if_contains("proposed")) {
      NOTP_ASSIGN(state.proposed_hash, Hash::from_hex(json::value_to<std::string>(*proposed)));
    }
    if (const json::value* commit = object.if_contains("commit"))
      state.commit = json::value_to<std::string>(*commit);
    return state;
  } catch (const std::exception& error) {
    return fail(ErrorCode::kCorrupt, error.what());
  }
}

// Appends the missing line to the user's own file.
Result<void> ignore_state(const fs::path& folder) {
  const fs::path path = folder / kIgnoreFile;
  auto text = read_file(path, kStateBytesMax);
  if (!text && text.error().code != ErrorCode::kNotFound)
    return std::unexpected(std::move(text).error());
  if (!text) return write_file(path, kIgnoreText);
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);)
    if (line == "state.json" || line == "/state.json" || line == "*") return {};
  if (!text->empty() && !text->ends_with('\n')) *text += '\n';
  return write_file(path, *text + Bytes(kIgnoreText));
}

}  // namespace

fs::path state_path(const fs::path& folder) { return folder / kStateFile; }

Bytes WorkspaceState::encode() const {
  json::object state{{"trust_domain", trust_domain},
                     {"ledger", ledger.text()},
                     {"version", version},
                     {"release", release_hash.hex()},
                     {"content_root", content_root.hex()}};
  if (!proposed_hash.is_zero()) state["proposed"] = proposed_hash.hex();
  if (!commit.empty()) state["commit"] = commit;
  return pretty_json(state) + "\n";
}

Result<WorkspaceState> WorkspaceState::decode(ByteView text) {
  NOTP_ASSIGN(const json::value value, parse_json(text));
  if (!value.is_object()) return fail(ErrorCode::kCorrupt, "not a JSON object");
  return state_from(value.get_object());
}

WorkspaceState state_at(const trust::Release& release, const Hash& hash) {
  return {
      release.trust_domain, release.ledger, release.version, hash, release.content_root, {}, {}};
}

Result<std::optional<WorkspaceState>> load_state(const fs::path& folder,
                                                 const std::string& trust_domain,
                                                 const model::LedgerId& ledger) {
  const fs::path path = state_path(folder);
  auto text = read_file(path, kStateBytesMax);
  if (!text && text.error().code == ErrorCode::kNotFound) return std::nullopt;
  if (!text) return std::unexpected(std::move(text).error());
  auto state = WorkspaceState::decode(*text);
  if (!state)
    return std::unexpected(Error{
        ErrorCode::kCorrupt,
        fmt::format("{} cannot be read: {}", path.string(), state.error().message),
        {}}.with("hint", "remove it to forget which release this folder started from"));
  if (state->trust_domain != trust_domain || state->ledger != ledger) return std::nullopt;
  return std::move(*state);
}

Result<void> save_state(const fs::path& folder, const WorkspaceState& state) {
  NOTP_TRY(make_folders(folder / ".notp"));
  NOTP_TRY(ignore_state(folder));
  return write_file(state_path(folder), state.encode());
}

fs::path settings_folder(const fs::path& folder) {
  std::error_code error;
  return fs::is_regular_file(folder, error) ? fs::path(".") : folder;
}

Result<CheckedModel> check_read_model(FolderContent read,
                                      const std::optional<EngineCheck>& engine) {
  CheckedModel model{std::move(read.content), {}, std::move(read.left_out), read.left_out_count};
  NOTP_ASSIGN(model.report,
              engine ? check_model(model.content, *engine) : check_content(model.content));
  auto& findings = model.report.findings;
  findings.insert(findings.begin(), std::make_move_iterator(read.findings.begin()),
                  std::make_move_iterator(read.findings.end()));
  auto& warnings = model.report.warnings;
  warnings.insert(warnings.begin(), std::make_move_iterator(read.warnings.begin()),
                  std::make_move_iterator(read.warnings.end()));
  return model;
}

Result<CheckedModel> check_folder(const fs::path& folder,
                                  const std::optional<EngineCheck>& engine) {
  std::error_code error;
  if (!fs::is_directory(folder, error) && !fs::is_regular_file(folder, error))
    return fail(ErrorCode::kNotFound,
                fmt::format("there is no folder or archive {}", folder.string()));
  NOTP_ASSIGN(FolderContent read, read_model_folder(folder.string()));
  return check_read_model(std::move(read), engine);
}

Result<void> require_valid(const CheckedModel& model, const fs::path& folder) {
  if (model.report.valid()) return {};
  std::string message = fmt::format("{} is not a valid model:\n{}", folder.string(),
                                    model::findings_text(model.report.findings));
  if (message.ends_with('\n')) message.pop_back();
  return std::unexpected(Error{ErrorCode::kInvalidModel, std::move(message), {}}.with(
      "hint", "'notp validate' checks without publishing"));
}

std::string left_out_note(const CheckedModel& model) {
  constexpr size_t kNamed = 4;
  if (model.left_out_count == 0) return {};
  std::vector<std::string> names;
  for (const LeftOut& each : model.left_out | std::views::take(kNamed)) names.push_back(each.path);
  return fmt::format("note: left out, no part of a model: {}{}", fmt::join(names, ", "),
                     model.left_out_count > names.size()
                         ? fmt::format(" and {} more", model.left_out_count - names.size())
                         : "");
}

std::string left_out_text(const CheckedModel& model) {
  std::string text;
  for (const LeftOut& each : model.left_out)
    text += fmt::format("left out: {}: {}\n", each.path, each.reason);
  return text;
}

json::array left_out_json(const CheckedModel& model) {
  json::array array;
  for (const LeftOut& each : model.left_out)
    array.push_back(json::object{{"path", each.path}, {"reason", each.reason}});
  return array;
}

json::array findings_json(const std::vector<model::ModelFinding>& findings) {
  json::array array;
  for (const model::ModelFinding& finding : findings)
    array.push_back(json::object{{"path", finding.path},
                                 {"line", finding.line},
                                 {"column", finding.column},
                                 {"rule", finding.rule},
                                 {"message", finding.message}});
  return array;
}

Result<void> write_model(const model::ModelContent& content, const fs::path& folder) {
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_empty(folder, error))
    return fail(ErrorCode::kUsage,
                fmt::format("{} exists and is not an empty folder", folder.string()));
  NOTP_TRY(make_folders(folder));
  for (const auto& [path, entry] : content.tree->files()) {
    NOTP_ASSIGN(const model::Content bytes, file_content(content, path));
    const fs::path target = folder / path;
    NOTP_TRY(make_folders(target.parent_path()));
    NOTP_TRY(write_quickly(target, *bytes));
  }
  return {};
}

Result<void> write_quickly(const fs::path& path, ByteView content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  if (!file)
    return fail(ErrorCode::kIo,
                fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
  return {};
}

Result<model::Content> file_content(const model::ModelContent& content, std::string_view path) {
  const model::FileEntry* entry = content.tree->find(path);
  if (entry == nullptr)
    return fail(ErrorCode::kNotFound, fmt::format("there is no file '{}' in this release", path));
  const auto found = content.blobs.find(entry->hash);
  if (found == content.blobs.end())
    return fail(ErrorCode::kInternal, fmt::format("the content of '{}' is not at hand", path));
  return found->second;
}

}  // namespace notp::cli
