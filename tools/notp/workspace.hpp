// A folder that a user edits: the model, and beside it ".notp" with the local state.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "common/crypto/digest.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/trust/statements.hpp"
#include "tools/notp/publish/engine_check.hpp"
#include "tools/notp/publish/model_folder.hpp"

namespace notp::cli {

// The release that the files of a workspace started from. Like a branch's upstream commit, it turns
// a publish over another publisher's release into a conflict.
struct WorkspaceState {
  std::string trust_domain;
  model::LedgerId ledger;
  uint64_t version = 0;  // 0: the ledger had no release
  Hash release_hash;
  Hash content_root;
  // A proposal from this folder that waited for signatures; zero: none. Once it is the head, the
  // folder counts as started from it.
  Hash proposed_hash;
  // The commit that Git had checked out when this was written, hexadecimal; empty: Git does not
  // track the folder.
  std::string commit;

  Bytes encode() const;
  // kCorrupt for text that encode() does not write.
  static Result<WorkspaceState> decode(ByteView text);
};

// The state of a folder whose files are those of the release.
WorkspaceState state_at(const trust::Release& release, const Hash& hash);

// nullopt when the folder has no state, or one of another ledger. kCorrupt, kIo.
Result<std::optional<WorkspaceState>> load_state(const std::filesystem::path& folder,
                                                 const std::string& trust_domain,
                                                 const model::LedgerId& ledger);
// Also excludes the file from Git: the state is local to one machine.
Result<void> save_state(const std::filesystem::path& folder, const WorkspaceState& state);

inline constexpr const char* kStateFile = ".notp/state.json";
std::filesystem::path state_path(const std::filesystem::path& folder);
inline constexpr std::string_view kIgnoreFile = ".notp/.gitignore";
inline constexpr std::string_view kIgnoreText = "state.json\n";

// The folder in which settings for a model are looked up. An archive has neither settings nor
// notes, as it is the output of a pipeline.
std::filesystem::path settings_folder(const std::filesystem::path& folder);

// A model read from a folder and checked by the registry's rules.
struct CheckedModel {
  model::ModelContent content;
  model::ModelReport report;      // findings and warnings of paths, kinds and content
  std::vector<LeftOut> left_out;  // not part of the model
  uint64_t left_out_count = 0;
};
// `folder` may be a bundle archive. kNotFound when the folder does not exist. An invalid model is
// not an error here. Without an `engine`, policies and tests are left to the registry.
Result<CheckedModel> check_folder(const std::filesystem::path& folder,
                                  const std::optional<EngineCheck>& engine = EngineCheck{});

// The same for a model that was read already.
Result<CheckedModel> check_read_model(FolderContent read, const std::optional<EngineCheck>& engine);

// kInvalidModel with the findings as its message when the model is not valid.
Result<void> require_valid(const CheckedModel& model, const std::filesystem::path& folder);

// Describes what was left out, in one line; empty when nothing was.
std::string left_out_note(const CheckedModel& model);
// One line for each, with its reason.
std::string left_out_text(const CheckedModel& model);
json::array left_out_json(const CheckedModel& model);

json::array findings_json(const std::vector<model::ModelFinding>& findings);

// Writes the files of a release into a folder that does not exist or is empty. kUsage, kIo.
Result<void> write_model(const model::ModelContent& content, const std::filesystem::path& folder);

// Without fsync, which takes milliseconds per file: the registry keeps the original. kIo.
Result<void> write_quickly(const std::filesystem::path& path, ByteView content);

// The content of one file of a model.
Result<model::Content> file_content(const model::ModelContent& content, std::string_view path);

}  // namespace notp::cli
