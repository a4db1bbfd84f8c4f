// notp sources: the OpenID providers whose keys a registry fetches and publishes.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "tools/notp/query/query_session.hpp"
#include "tools/notp/registry/source_rows.hpp"

namespace notp::cli {
namespace {

// A registry ends a fetch of two documents, and publishes what has changed, within these.
constexpr TimeMs kFetchWaitMs = 15'000;
constexpr TimeMs kReleaseWaitMs = 2'000;
constexpr TimeMs kPollMs = 200;

struct ListOptions {};
struct NamedOptions {
  std::string name;
};

json::array rows_json(const std::vector<wire::SourceRow>& rows, TimeMs now_ms) {
  json::array array;
  for (const wire::SourceRow& row : rows) array.push_back(source_json(row, now_ms));
  return array;
}

Result<int> run_list(const Context& context, const ListOptions&) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const QuerySession session, open_query_session(context, settings));
  NOTP_ASSIGN(const wire::SourcesPage page, session.client->ask(wire::SourcesRequest{}));
  const TimeMs now_ms = context.now.wall_ms;
  if (page.more)
    context.output.note(
        "note: the registry has more sources than one answer holds; 'notp sources show NAME' "
        "shows any of them");
  context.output.result(
      sources_text(context.output, page.rows, now_ms),
      json::object{{"sources", rows_json(page.rows, now_ms)}, {"more", page.more}});
  return exit_code::kOk;
}

Result<wire::SourceRow> named(const std::vector<wire::SourceRow>& rows, const std::string& name) {
  const auto found = std::ranges::find(
      rows, name, [](const wire::SourceRow& row) { return std::string_view(row.status.name); });
  if (found != rows.end()) return *found;
  return std::unexpected(Error{
      ErrorCode::kNotFound,
      fmt::format("no source '{}' of a ledger that this identity may read", name),
      {}}.with("hint", "'notp sources list' shows those there are"));
}

Result<wire::SourceRow> ask_source(RegistryClient& client, const std::string& name) {
  NOTP_ASSIGN(const wire::SourcesPage page, client.ask(wire::SourcesRequest{.name = name}));
  return named(page.rows, name);
}

Result<int> run_show(const Context& context, const NamedOptions& options) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const QuerySession session, open_query_session(context, settings));
  NOTP_ASSIGN(const wire::SourceRow row, ask_source(*session.client, options.name));
  const TimeMs now_ms = context.now.wall_ms;
  context.output.result(source_text(context.output, row, now_ms), source_json(row, now_ms));
  return exit_code::kOk;
}

// Waits until the fetch has ended, and for the release that may come of it. Gives up after a time
// in which a fetch ends.
Result<wire::SourceRow> wait_for_fetch(RegistryClient& client, const wire::SourceRow& before) {
  const TimeMs end_ms = read_clock().boot_ms + kFetchWaitMs;
  TimeMs release_ms = kNever;
  while (true) {
    NOTP_ASSIGN(wire::SourceRow row, ask_source(client, before.status.name));
    const TimeMs now_ms = read_clock().boot_ms;
    const bool is_fetched = row.fetches != before.fetches;
    if (is_fetched && release_ms == kNever) release_ms = now_ms + kReleaseWaitMs;
    const bool is_done = is_fetched && (row.code != 0 || row.version != before.version);
    if (is_done || now_ms >= std::min(end_ms, release_ms)) return row;
    std::this_thread::sleep_for(std::chrono::milliseconds(kPollMs));
  }
}

Result<int> run_refresh(const Context& context, const NamedOptions& options) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const QuerySession session, open_query_session(context, settings));
  NOTP_ASSIGN(const wire::SourceRow before, ask_source(*session.client, options.name));
  NOTP_TRY(session.client->ask(wire::RefreshSource{before.status.ledger, options.name}));
  NOTP_ASSIGN(const wire::SourceRow row, wait_for_fetch(*session.client, before));
  const TimeMs now_ms = read_clock().wall_ms;
  json::object document = source_json(row, now_ms);
  const bool is_fetched = row.fetches != before.fetches;
  document["fetched_now"] = is_fetched;
  document["new_release"] = row.version != before.version;
  std::string text = source_text(context.output, row, now_ms);
  if (!is_fetched)
    text += fmt::format("The fetch is under way; 'notp sources show {}' shows what comes of it.\n",
                        shell_word(options.name));
  else if (row.version != before.version)
    text += fmt::format("Its keys have changed: they are in v{} of {}.\n", row.version,
                        row.status.ledger.text());
  else if (row.code == 0)
    text += "No new release has come of it: its keys are those of before.\n";
  context.output.result(text, document);
  return row.code == 0 ? exit_code::kOk : error_traits(error_code_from_wire(row.code)).exit;
}

void declare_name(CLI::App& command, NamedOptions& options) {
  command.add_option("name", options.name, "The source, as the registry's configuration calls it")
      ->type_name("NAME")
      ->required();
}

}  // namespace

void add_sources(Commands& commands) {
  CLI::App* sources = commands.root().add_subcommand(
      "sources", "OpenID providers whose keys the registry fetches and publishes");
  sources->require_subcommand(1);
  commands.add<ListOptions>(
      *sources, "list", "List them, how fresh their keys are, and what is wrong",
      [](CLI::App& command, ListOptions&) {
        command.footer(
            "States: ok; late: a fetch failed, and the next one may succeed; failing: fetches\n"
            "have failed for long; suspect: it serves keys that are not taken, such as an empty\n"
            "set or a private key. In all of them nodes keep the last good keys.");
      },
      run_list);
  commands.add<NamedOptions>(*sources, "show", "Show one of them: its keys, its fetches",
                             declare_name, run_show);
  commands.add<NamedOptions>(
      *sources, "refresh", "Let the registry fetch the keys of one of them now",
      [](CLI::App& command, NamedOptions& options) {
        declare_name(command, options);
        command.footer(
            "Needs the right to publish its ledger. Waits for the fetch and for the release that\n"
            "comes of it; exits with the code of the fetch if that failed. A registry does not\n"
            "fetch again what it has fetched a moment ago.");
      },
      run_refresh);
}

}  // namespace notp::cli
