// notp clone, show: fetch one release and write or print it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "common/size_text.hpp"
#include "common/storage/files.hpp"
#include "tools/notp/command.hpp"
#include "tools/notp/publish/engine_check.hpp"
#include "tools/notp/publish/release_draft.hpp"
#include "tools/notp/query/query_session.hpp"
#include "tools/notp/query/reference.hpp"
#include "tools/notp/workspace.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kFileLines = 100;

Result<PulledReleasePtr> pull_reference(ReleaseSource& source, const ReleaseReference& reference) {
  if (reference.version != 0) return source.pull(reference.version);
  NOTP_ASSIGN(PulledReleasePtr release, source.pull_head());
  if (!release)
    return fail(ErrorCode::kNotFound,
                fmt::format("{} has no release yet", reference.ledger.text()));
  return release;
}

struct CloneOptions {
  std::string reference;
  std::string folder;
};

// An absolute path, so that the setting names the same file from the clone's .notp folder.
std::string config_line(std::string_view indent, std::string_view name, const fs::path& file) {
  if (file.empty()) return {};
  std::error_code error;
  return fmt::format("{}{}: {}\n", indent, name, json_string(fs::absolute(file, error).string()));
}

std::string clone_config(const model::LedgerId& ledger, const Settings& settings) {
  std::string text = "# Settings of notp for this workspace; they are no part of the model.\n";
  text += fmt::format("ledger: {}\n", ledger.text());
  if (!settings.registry.empty())
    text += fmt::format("registry: {}\n", json_string(settings.registry));
  if (!settings.trust_domain.empty())
    text += fmt::format("trust_domain: {}\n", json_string(settings.trust_domain));
  if (!settings.registry_identity.empty())
    text += fmt::format("registry_identity: {}\n", json_string(settings.registry_identity));
  text += config_line("", "root", settings.root);
  if (!settings.proxy.url.empty())
    text += fmt::format("proxy: {}\n", json_string(settings.proxy.url));
  text += config_line("", "proxy_password_file", settings.proxy.password_file);
  if (!settings.signing_keys.empty())
    text += config_line("", "signing_key", settings.signing_keys.front());
  const std::string tls = config_line("  ", "certificate", settings.certificate) +
                          config_line("  ", "key", settings.key) +
                          config_line("  ", "ca", settings.ca);
  return tls.empty() ? text : text + "tls:\n" + tls;
}

Result<int> run_clone(const Context& context, const CloneOptions& options) {
  NOTP_ASSIGN(const ReleaseReference reference, parse_reference(options.reference));
  const fs::path folder =
      options.folder.empty() ? fs::path(reference.ledger.name) : fs::path(options.folder);
  std::error_code error;
  if (fs::exists(folder, error) &&
      !(fs::is_directory(folder, error) && fs::is_empty(folder, error)))
    return std::unexpected(Error{
        ErrorCode::kUsage,
        fmt::format("{} exists and is not an empty folder", folder.string()),
        {}}.with("hint", "name another folder: notp clone <zone>/<name> DIR"));
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const auto source,
              ReleaseSource::open(settings, context.environment, context.output, reference.ledger));
  NOTP_ASSIGN(const PulledReleasePtr release, pull_reference(*source, reference));
  NOTP_TRY(write_model(release->content, folder));
  NOTP_TRY(make_folders(folder / ".notp"));
  NOTP_TRY(write_file(folder / ".notp/config.yaml", clone_config(reference.ledger, settings)));
  const trust::Release& statement = release->release();
  NOTP_TRY(save_state(folder, state_at(statement, release->verified.ref.release_hash)));
  context.output.result(
      fmt::format("Cloned {} v{} into {}\n{}", statement.ledger.text(), statement.version,
                  folder.string(),
                  facts({{"release", release->verified.ref.release_hash.hex()},
                         {"content root", statement.content_root.hex()},
                         {"content", fmt::format("{}, {}", counted(statement.file_count, "file"),
                                                 size_text(statement.total_bytes))}})),
      json::object{{"folder", folder.string()},
                   {"ledger", statement.ledger.text()},
                   {"version", statement.version},
                   {"release", release->verified.ref.release_hash.hex()},
                   {"content_root", statement.content_root.hex()},
                   {"files", statement.file_count},
                   {"bytes", statement.total_bytes}});
  return exit_code::kOk;
}

struct ShowOptions {
  std::string reference;
  std::string file;
  bool all = false;
};

// The delegation's keys that signed the release, by the root that allows them.
std::vector<std::string> signers_of(const PulledRelease& release, const RootChain& chain) {
  std::vector<std::string> keyids;
  const auto envelope = trust::Envelope::decode(release.verified.envelope);
  const auto root = std::ranges::find(chain.all(), release.root_version,
                                      [](const RootPtr& r) { return r->version; });
  if (root == chain.all().end()) return keyids;
  const trust::Delegation* delegation = (*root)->delegation_for(release.release().ledger);
  if (!envelope || delegation == nullptr) return keyids;
  for (const PublicKey& key : delegation->keys)
    if (trust::count_signers(*envelope, {&key, 1}) == 1) keyids.push_back(key.keyid());
  return keyids;
}

Result<int> show_file(const Context& context, const PulledRelease& release,
                      const std::string& path) {
  NOTP_ASSIGN(const model::Content content, file_content(release.content, path));
  if (!context.output.is_json()) {
    context.output.raw(*content);
    return exit_code::kOk;
  }
  json::object document{{"path", path}, {"bytes", content->size()}};
  if (is_utf8(*content))
    document["content"] = *content;
  else
    document["content_base64"] = to_base64(*content);
  context.output.result({}, document);
  return exit_code::kOk;
}

// Computed locally, not signed: an engine of another version may differ, or be missing.
struct ShownNeeds {
  json::value document;  // null: unknown
  std::string text;
};

ShownNeeds needs_of(const PulledRelease& release) {
  const auto needs = find_needs(release.content);
  if (!needs) return {nullptr, "not known: " + first_line(needs.error().message)};
  return {needs_json(*needs), needs_text(*needs)};
}

json::object source_json(const trust::Source& source) {
  json::object object{{"commit", source.commit}};
  if (!source.repository.empty()) object["repository"] = source.repository;
  if (!source.ref.empty()) object["ref"] = source.ref;
  if (!source.signer.empty()) object["signer"] = source.signer;
  return object;
}

json::array uses_json(const std::vector<model::LedgerUse>& uses) {
  json::array array;
  for (const model::LedgerUse& use : uses)
    array.push_back(json::object{{"ledger", use.ledger.text()}, {"min_version", use.version}});
  return array;
}

std::string uses_text(const std::vector<model::LedgerUse>& uses) {
  std::string text;
  for (const model::LedgerUse& use : uses)
    text +=
        fmt::format("{}{} from v{} on", text.empty() ? "" : ", ", use.ledger.text(), use.version);
  return text.empty() ? "no other ledger" : text;
}

json::object release_json(const PulledRelease& release, const std::vector<std::string>& signers,
                          const ShownNeeds& needs) {
  const trust::Release& r = release.release();
  json::array files;
  for (const auto& [path, entry] : release.content.tree->files())
    files.push_back(
        json::object{{"path", path}, {"bytes", entry.bytes}, {"hash", entry.hash.hex()}});
  json::object object{{"trust_domain", r.trust_domain},
                      {"ledger", r.ledger.text()},
                      {"epoch", r.epoch},
                      {"version", r.version},
                      {"release", release.verified.ref.release_hash.hex()},
                      {"content_root", r.content_root.hex()},
                      {"total_bytes", r.total_bytes},
                      {"file_count", r.file_count},
                      {"roots", json::array(r.data_roots.begin(), r.data_roots.end())},
                      {"uses", uses_json(r.uses)},
                      {"issued", utc_time(r.issued_ms)},
                      {"fresh_s", r.fresh_s},
                      {"hard_s", r.hard_s},
                      {"on_hard", r.on_hard == trust::OnHard::kServe ? "serve" : "deny"},
                      {"signers", json::array(signers.begin(), signers.end())},
                      {"root_version", release.root_version},
                      {"needs", needs.document},
                      {"files", std::move(files)}};
  if (!r.previous_hash.is_zero()) object["previous"] = r.previous_hash.hex();
  if (r.expires_ms != 0) object["expires"] = utc_time(r.expires_ms);
  if (r.source) object["source"] = source_json(*r.source);
  return object;
}

std::string expiry_text(const trust::Release& release, TimeMs now_ms) {
  if (release.expires_ms == 0) return "never";
  return utc_time(release.expires_ms) + (now_ms >= release.expires_ms ? " (expired)" : "");
}

std::string release_text(const PulledRelease& release, const std::vector<std::string>& signers,
                         const ShownNeeds& needs, TimeMs now_ms, bool all) {
  const trust::Release& r = release.release();
  std::string text = fmt::format("{} v{}\n", r.ledger.uri(r.trust_domain), r.version);
  text +=
      facts({{"release", release.verified.ref.release_hash.hex()},
             {"content root", r.content_root.hex()},
             {"previous", r.previous_hash.is_zero() ? "none" : r.previous_hash.hex()},
             {"epoch", std::to_string(r.epoch)},
             {"issued", fmt::format("{} ({})", utc_time(r.issued_ms), ago(r.issued_ms, now_ms))},
             {"expires", expiry_text(r, now_ms)},
             {"freshness", fmt::format("fresh {} s, hard {} s, then {}", r.fresh_s, r.hard_s,
                                       r.on_hard == trust::OnHard::kServe ? "serve" : "deny")},
             {"data roots", fmt::format("{}", fmt::join(r.data_roots, ", "))},
             {"uses", uses_text(r.uses)},
             {"source", r.source ? trust::source_text(*r.source) : "none"},
             {"needs", needs.text},
             {"signed by", fmt::format("{} (verified by root {})", fmt::join(signers, ", "),
                                       release.root_version)},
             {"content",
              fmt::format("{}, {}", counted(r.file_count, "file"), size_text(r.total_bytes))}});
  text += "\n";
  const model::Files& files = release.content.tree->files();
  size_t left = all ? files.size() : kFileLines, width = 0;
  for (const auto& [path, entry] : files) width = std::max(width, path.size());
  for (const auto& [path, entry] : files) {
    if (left-- == 0)
      return text + fmt::format("  and {} more (--all shows them)\n",
                                human_count(files.size() - kFileLines));
    text +=
        fmt::format("  {:{}}  {:>9}\n", path, std::min<size_t>(width, 72), size_text(entry.bytes));
  }
  return text;
}

Result<int> run_show(const Context& context, const ShowOptions& options) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  ReleaseReference reference;
  if (options.reference.empty()) {
    NOTP_ASSIGN(reference.ledger, choose_ledger({}, settings));
  } else {
    NOTP_ASSIGN(reference, parse_reference(options.reference));
  }
  NOTP_ASSIGN(const auto source,
              ReleaseSource::open(settings, context.environment, context.output, reference.ledger));
  NOTP_ASSIGN(const PulledReleasePtr release, pull_reference(*source, reference));
  if (!options.file.empty()) return show_file(context, *release, options.file);
  const std::vector<std::string> signers = signers_of(*release, source->chain());
  const ShownNeeds needs = needs_of(*release);
  context.output.result(release_text(*release, signers, needs, context.now.wall_ms, options.all),
                        release_json(*release, signers, needs));
  return exit_code::kOk;
}

}  // namespace

void add_clone(Commands& commands) {
  commands.add<CloneOptions>(
      commands.root(), "clone", "Pull a release, verify it and write it to a folder",
      [](CLI::App& command, CloneOptions& options) {
        command.add_option("release", options.reference, "The ledger, and which release of it")
            ->type_name("ZONE/NAME[@vN]")
            ->required();
        command.add_option("folder", options.folder, "Where to write it (default: the name)")
            ->type_name("DIR");
      },
      run_clone);
}

void add_show(Commands& commands) {
  commands.add<ShowOptions>(
      commands.root(), "show", "Show a release: its statement, who signed it, its files",
      [](CLI::App& command, ShowOptions& options) {
        command
            .add_option("release", options.reference,
                        "The ledger, and which release of it (default: the configuration's)")
            ->type_name("ZONE/NAME[@vN]");
        command.add_option("--file", options.file, "Print this file of the release instead")
            ->type_name("PATH");
        command.add_flag("--all", options.all, "List every file, however many");
      },
      run_show);
}

}  // namespace notp::cli
