#include "tools/notp/publish/used_ledgers.hpp"

#include <fmt/format.h>

#include <map>

#include "common/limits.hpp"
#include "tools/notp/query/release_source.hpp"
#include "tools/notp/workspace.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

// Used for every requested version: the folder's content may become that version.
Result<model::UsedModel> model_in(const model::LedgerId& ledger, const fs::path& folder) {
  NOTP_ASSIGN(CheckedModel model, check_folder(folder, std::nullopt));
  NOTP_TRY(require_valid(model, folder));
  return model::UsedModel{.ledger = ledger,
                          .version = limits::kVersionMax,
                          .data_roots = model.report.manifest.data_roots,
                          .uses = model.report.manifest.uses,
                          .allow = {},
                          .tree = model.content.tree,
                          .load = model.content.loader()};
}

}  // namespace

Result<model::UsedModel> used_head(const model::LedgerId& ledger, const Settings& settings,
                                   const Environment& environment, const Output& output) {
  NOTP_ASSIGN(const auto source, ReleaseSource::open(settings, environment, output, ledger));
  NOTP_ASSIGN(const auto head, source->pull_head());
  if (!head) return fail(ErrorCode::kNotFound, "it has no release in the registry");
  return model::UsedModel{.ledger = ledger,
                          .version = head->release().version,
                          .data_roots = head->release().data_roots,
                          .uses = head->release().uses,
                          .allow = {},
                          .tree = head->content.tree,
                          .load = head->content.loader()};
}

Result<model::FindUsed> used_ledgers(const Context& context, const fs::path& folder,
                                     const std::vector<std::string>& with) {
  std::map<model::LedgerId, fs::path> folders;
  for (const std::string& word : with) {
    const size_t equals = word.find('=');
    const auto ledger = model::LedgerId::parse(word.substr(0, equals));
    if (equals == word.npos || !ledger)
      return std::unexpected(Error{
          ErrorCode::kUsage,
          fmt::format("--with '{}' names no ledger and folder", word),
          {}}.with("hint", "as in --with 100000000001/lib=../lib"));
    folders[*ledger] = word.substr(equals + 1);
  }
  return [&context, folder,
          folders = std::move(folders)](const model::LedgerId& ledger) -> Result<model::UsedModel> {
    if (const auto found = folders.find(ledger); found != folders.end())
      return model_in(ledger, found->second);
    NOTP_ASSIGN(const Settings settings, context.settings(settings_folder(folder)));
    auto used = used_head(ledger, settings, context.environment, context.output);
    if (used) return used;
    return fail(used.error().code,
                fmt::format("{}; 'notp validate --with {}=DIR' takes it from a folder",
                            used.error().message, ledger.text()));
  };
}

}  // namespace notp::cli
