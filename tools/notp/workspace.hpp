// A folder that a person edits: the model, and beside it ".notp" with what this machine knows of
// it.
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

// Which release the files of a workspace started from: like a branch's upstream commit, it turns a
// publish over somebody else's release into a conflict.
struct WorkspaceState {
  std::string trust_domain;
  LedgerId ledger;
  uint64_t version = 0;  // 0: the ledger had no release
  Hash release_hash;
  Hash content_root;
  // What was proposed from this folder and waited for signatures; zero: nothing. When it is the
  // head one day, the folder has started from it.
  Hash proposed_hash;
  // What Git had checked out when this was written, hexadecimal; empty: Git does not know the
  // folder.
  std::string commit;

  Bytes encode() const;
  // kCorrupt when it is not what encode() writes.
  static Result<WorkspaceState> decode(ByteView text);
};

// Of a folder whose files are those of the release.
WorkspaceState state_at(const Release& release, const Hash& hash);

// nullopt when the folder has none, or one of another ledger. kCorrupt, kIo.
Result<std::optional<WorkspaceState>> load_state(const std::filesystem::path& folder,
                                                 const std::string& trust_domain,
                                                 const LedgerId& ledger);
// Keeps Git from taking it along, too: it is a fact of one machine.
Result<void> save_state(const std::filesystem::path& folder, const WorkspaceState& state);

inline constexpr const char* kStateFile = ".notp/state.json";
std::filesystem::path state_path(const std::filesystem::path& folder);
inline constexpr std::string_view kIgnoreFile = ".notp/.gitignore";
inline constexpr std::string_view kIgnoreText = "state.json\n";

// Where the settings for a model are looked for: beside an archive there are none and no notes, as
// it is what a pipeline has built.
std::filesystem::path settings_folder(const std::filesystem::path& folder);

// A model read from a folder and checked by the registry's own rules.
struct CheckedModel {
  ModelContent content;
  ModelReport report;             // findings and warnings of paths, kinds and content
  std::vector<LeftOut> left_out;  // what of the folder is no part of the model
  uint64_t left_out_count = 0;
};
// `folder` may be a bundle archive. kNotFound when there is no such folder. A model that is not
// valid is no error here. Without an `engine` policies and tests are left to the registry.
Result<CheckedModel> check_folder(const std::filesystem::path& folder,
                                  const std::optional<EngineCheck>& engine = EngineCheck{});

// kInvalidModel with the findings as its message when the model is not valid.
Result<void> require_valid(const CheckedModel& model, const std::filesystem::path& folder);

// What was left out, in one line for people; empty when nothing was.
std::string left_out_note(const CheckedModel& model);
// A line for each, with its reason.
std::string left_out_text(const CheckedModel& model);
json::array left_out_json(const CheckedModel& model);

json::array findings_json(const std::vector<ModelFinding>& findings);

// Writes the files of a release into a folder that does not exist or is empty. kUsage, kIo.
Result<void> write_model(const ModelContent& content, const std::filesystem::path& folder);

// Without fsync, which takes milliseconds a file: a copy of what the registry keeps. kIo.
Result<void> write_quickly(const std::filesystem::path& path, ByteView content);

// The content of one file of a model.
Result<Content> file_content(const ModelContent& content, std::string_view path);

}  // namespace notp::cli
