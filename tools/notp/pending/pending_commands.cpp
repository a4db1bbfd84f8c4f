// notp pending, sign, withdraw: list and sign pending releases, and withdraw published ones.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "tools/notp/command.hpp"
#include "tools/notp/confirm.hpp"
#include "tools/notp/publish/release_draft.hpp"
#include "tools/notp/query/external_diff.hpp"
#include "tools/notp/query/query_session.hpp"
#include "tools/notp/query/reference.hpp"

namespace notp::cli {
namespace {

constexpr size_t kHashDigitsMin = 8;

json::object pending_json(const wire::PendingRow& row) {
  return {{"ledger", row.ledger.text()},
          {"version", row.version},
          {"release", row.release_hash.hex()},
          {"publisher", row.publisher},
          {"message", row.message},
          {"received", utc_time(row.received_ms)},
          {"signers", row.signers},
          {"threshold", row.threshold}};
}

// Matches "v3", "3" or the first digits of a release hash.
bool is_meant(const wire::PendingRow& row, const std::string& which) {
  if (which.empty()) return true;
  if (const auto version = parse_version(which); version && row.version == *version) return true;
  return which.size() >= kHashDigitsMin && row.release_hash.hex().starts_with(which);
}

Result<wire::PendingRow> choose_pending(RegistryClient& client, const model::LedgerId& ledger,
                                        const std::string& which) {
  NOTP_ASSIGN(std::vector<wire::PendingRow> rows, ask_pending(client, ledger));
  std::erase_if(rows, [&](const wire::PendingRow& row) {
    return row.ledger != ledger || !is_meant(row, which);
  });
  if (rows.empty())
    return std::unexpected(Error{
        ErrorCode::kNotFound,
        fmt::format("no release of {} waits for signatures{}", ledger.text(),
                    which.empty() ? "" : fmt::format(" as '{}'", which)),
        {}}.with("hint", "'notp pending' lists those that do"));
  if (rows.size() > 1) {
    std::vector<std::string> names;
    for (const wire::PendingRow& row : rows)
      names.push_back(fmt::format("v{} {}", row.version, row.release_hash.brief()));
    return std::unexpected(Error{
        ErrorCode::kUsage,
        fmt::format("several releases of {} wait: {}", ledger.text(), fmt::join(names, ", ")),
        {}}.with("hint", "name one by the first digits of its hash"));
  }
  return std::move(rows.front());
}

struct PendingOptions {
  std::string ledger;
};

Result<int> run_pending(const Context& context, const PendingOptions& options) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  std::optional<model::LedgerId> ledger;
  if (!options.ledger.empty()) {
    NOTP_ASSIGN(ledger, model::LedgerId::parse(options.ledger));
  }
  NOTP_ASSIGN(const QuerySession session, open_query_session(context, settings));
  NOTP_ASSIGN(const auto rows, ask_pending(*session.client, ledger));
  std::vector<std::vector<std::string>> lines{
      {"LEDGER", "VERSION", "RELEASE", "SIGNED", "AGE", "PUBLISHER", "MESSAGE"}};
  json::array documents;
  for (const wire::PendingRow& row : rows) {
    lines.push_back({row.ledger.text(), fmt::format("v{}", row.version), row.release_hash.brief(),
                     fmt::format("{} of {}", row.signers, row.threshold),
                     age(row.received_ms, context.now.wall_ms), short_identity(row.publisher),
                     first_line(row.message)});
    documents.push_back(pending_json(row));
  }
  context.output.result(
      rows.empty() ? "No release waits for signatures.\n" : table(context.output, lines),
      json::object{{"pending", std::move(documents)}});
  return exit_code::kOk;
}

struct ChosenOptions {
  std::string ledger;
  std::string which;
  std::vector<std::string> keys;
  bool yes = false;
  bool diff = false;
};

Result<int> run_drop(const Context& context, const ChosenOptions& options) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const model::LedgerId ledger, model::LedgerId::parse(options.ledger));
  NOTP_ASSIGN(const QuerySession session, open_query_session(context, settings));
  NOTP_ASSIGN(const wire::PendingRow row, choose_pending(*session.client, ledger, options.which));
  NOTP_TRY(session.client->ask(wire::DropPending{ledger, row.release_hash}));
  json::object document = pending_json(row);
  document["dropped"] = true;
  context.output.result(fmt::format("Dropped the pending v{} of {} ({}).\n", row.version,
                                    ledger.text(), row.release_hash.brief()),
                        document);
  return exit_code::kOk;
}

// --- sign

std::string release_terms(const trust::Release& release) {
  return facts(
      {{"content root", release.content_root.hex()},
       {"source", release.source ? trust::source_text(*release.source) : "none"},
       {"expires", release.expires_ms == 0 ? "never" : utc_time(release.expires_ms)},
       {"freshness", fmt::format("fresh {} s, hard {} s, then {}", release.fresh_s, release.hard_s,
                                 release.on_hard == trust::OnHard::kServe ? "serve" : "deny")}});
}

// Prints proposer, time, message and changes of a pending release.
std::string pending_text(const Context& context, const wire::PendingRow& row,
                         const ReleaseDraft& draft, const trust::Release& pending, bool all) {
  std::string text = fmt::format("{} v{} waits for signatures: {} of {} are there.\n",
                                 row.ledger.text(), row.version, row.signers, row.threshold);
  text += facts({{"release", row.release_hash.hex()},
                 {"proposed by", fmt::format("{}, {}", short_identity(row.publisher),
                                             ago(row.received_ms, context.now.wall_ms))},
                 {"message", first_line(row.message)}});
  text += release_terms(pending) + "\n";
  return text + draft_text(context.output, draft, context.now.wall_ms, all) + "\n";
}

// Prints how the content of every changed file differs from the head's.
Result<void> show_diff(const Context& context, const ReleaseDraft& draft) {
  model::ModelContent nothing;
  nothing.tree = std::make_shared<const model::Tree>();
  return run_external_diff(context.environment, context.output.has_colour(),
                           compare_trees(draft.before(), *draft.content.tree),
                           draft.head ? draft.head->content : nothing,
                           fmt::format("v{}", draft.version() - 1), draft.content,
                           fmt::format("v{}", draft.version()));
}

// Every given key must be able to publish the ledger, and must not have signed yet.
Result<std::vector<PrivateKey>> counting_keys(const ChosenOptions& options,
                                              const Settings& settings, const trust::Root& root,
                                              const wire::PendingRow& row) {
  NOTP_ASSIGN(std::vector<PrivateKey> keys, signing_keys(options.keys, settings));
  NOTP_ASSIGN(const trust::Envelope envelope, trust::Envelope::decode(row.envelope));
  const trust::Delegation* delegation = root.delegation_for(row.ledger);
  for (const PrivateKey& key : keys) {
    const PublicKey own = key.public_key();
    const bool counts =
        delegation && std::ranges::find(delegation->keys, own) != delegation->keys.end();
    if (!counts)
      return fail(ErrorCode::kSignature,
                  fmt::format("key {} may not publish {}: root {} does not name it for that",
                              own.keyid(), row.ledger.text(), root.version));
    if (trust::count_signers(envelope, {&own, 1}) == 1)
      return fail(ErrorCode::kUsage,
                  fmt::format("key {} has signed this release already", own.keyid()));
  }
  return keys;
}

Result<wire::PublishResult> cosign(RegistryClient& client, const wire::PendingRow& row,
                                   const std::vector<PrivateKey>& keys) {
  NOTP_ASSIGN(const trust::Envelope envelope, trust::Envelope::decode(row.envelope));
  const Bytes message = trust::pre_authentication_encoding(envelope.payload_type, envelope.payload);
  wire::PublishResult result;
  for (const PrivateKey& key : keys) {
    NOTP_ASSIGN(result, client.ask(wire::Cosign{row.ledger, row.release_hash, key.sign(message)}));
    if (result.code != 0) return fail(error_code_from_wire(result.code), result.message);
    if (result.threshold == 0) break;  // published: no further signature is needed
  }
  return result;
}

int print_signed(const Context& context, const wire::PendingRow& row,
                 const wire::PublishResult& result) {
  const bool published = result.threshold == 0;
  json::object document{{"ledger", row.ledger.text()},
                        {"version", row.version},
                        {"release", row.release_hash.hex()},
                        {"published", published},
                        {"pending", !published}};
  if (published) {
    document["commit"] = result.commit;
  } else {
    document["signers"] = result.signers;
    document["threshold"] = result.threshold;
  }
  context.output.result(
      published ? fmt::format("Signed: {} v{} is published.\n{}", row.ledger.text(), row.version,
                              facts({{"release", row.release_hash.hex()},
                                     {"commit", printable(result.commit)}}))
                : fmt::format("Signed: {} v{} has {} of the {} signatures it needs.\n",
                              row.ledger.text(), row.version, result.signers, result.threshold),
      document);
  return published ? exit_code::kOk : exit_code::kPending;
}

Result<int> run_sign(const Context& context, const ChosenOptions& options) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const model::LedgerId ledger, model::LedgerId::parse(options.ledger));
  NOTP_ASSIGN(const auto source,
              ReleaseSource::open(settings, context.environment, context.output, ledger));
  NOTP_ASSIGN(const wire::PendingRow row, choose_pending(source->client(), ledger, options.which));
  NOTP_ASSIGN(const std::vector<PrivateKey> keys,
              counting_keys(options, settings, source->root(), row));
  NOTP_ASSIGN(const PendingRelease pending, source->pull_pending(row));
  ReleaseDraft draft;
  draft.ledger = ledger;
  NOTP_ASSIGN(draft.head, source->pull_head());
  draft.content = pending.content;
  draft.data_roots = pending.waiting.release().data_roots;
  if (draft.version() != row.version)
    return fail(ErrorCode::kConflict,
                fmt::format("the head of {} is v{} by now: v{} can never follow it; drop it with "
                            "'notp pending drop' and propose it anew",
                            ledger.text(), draft.version() - 1, row.version));
  if (!context.output.is_json()) {
    context.output.raw(pending_text(context, row, draft, pending.waiting.release(), /*all=*/true));
    if (options.diff) NOTP_TRY(show_diff(context, draft));
  }
  if (!options.yes)
    NOTP_TRY(confirm(context.output, fmt::format("Sign v{} of {}?", row.version, ledger.text())));
  NOTP_ASSIGN(const wire::PublishResult result, cosign(source->client(), row, keys));
  return print_signed(context, row, result);
}

// --- withdraw

struct WithdrawOptions {
  std::string ledger;
  std::string version;
  std::string reason;
};

Result<int> run_withdraw(const Context& context, const WithdrawOptions& options) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const model::LedgerId ledger, model::LedgerId::parse(options.ledger));
  NOTP_ASSIGN(const uint64_t version, parse_version(options.version));
  NOTP_ASSIGN(const QuerySession session, open_query_session(context, settings));
  NOTP_ASSIGN(const auto head, ask_history(*session.client, ledger, 1));
  NOTP_TRY(session.client->ask(wire::Withdraw{ledger, version, options.reason}));
  const bool is_head = !head.empty() && head.front().version == version;
  if (is_head)
    context.output.note(
        fmt::format("note: v{0} is the head: until a new release is published, nodes do what its "
                    "publisher chose for an expired one (deny, as a rule); 'notp rollback {1} --to "
                    "v{2}' publishes the one before",
                    version, ledger.text(), version > 1 ? version - 1 : 1));
  if (session.chain && session.chain->newest()->freshness_keys.empty())
    context.output.note(
        "warning: the root names no freshness key: nodes never hear of a withdrawal");
  context.output.result(
      fmt::format("Withdrew {} v{}: nodes stop deciding with it.\n", ledger.text(), version),
      json::object{{"ledger", ledger.text()},
                   {"version", version},
                   {"reason", options.reason},
                   {"withdrawn", true},
                   {"was_head", is_head}});
  return exit_code::kOk;
}

void declare_which(CLI::App& command, ChosenOptions& options) {
  command.add_option("ledger", options.ledger, "The ledger")->type_name("ZONE/NAME")->required();
  command
      .add_option("release", options.which,
                  "Which one, when several wait: its version, or the first digits of its hash")
      ->type_name("vN|HASH");
}

}  // namespace

void add_pending(Commands& commands) {
  CLI::App* pending = commands.add<PendingOptions>(
      commands.root(), "pending", "List the releases that wait for signatures",
      [](CLI::App& command, PendingOptions& options) {
        command.add_option("ledger", options.ledger, "Only this ledger")->type_name("ZONE/NAME");
      },
      run_pending);
  commands.add<ChosenOptions>(*pending, "drop", "Give up a release that waits for signatures",
                              declare_which, run_drop);
}

void add_sign(Commands& commands) {
  commands.add<ChosenOptions>(
      commands.root(), "sign", "Look at a release that waits for signatures, and add one",
      [](CLI::App& command, ChosenOptions& options) {
        declare_which(command, options);
        command
            .add_option("--signing-key", options.keys,
                        "Publisher's private key (default: signing_key of the configuration)")
            ->type_name("FILE")
            ->allow_extra_args(false);
        command.add_flag("-y,--yes", options.yes, "Sign without asking");
        command.add_flag("--diff", options.diff,
                         "Show how the content of the files differs, too, as 'notp diff' does");
        command.footer(
            "Pulls and verifies the content, prints who proposed it and what it changes, then "
            "asks.\nWith the last signature that is needed the release is published; exits with 9 "
            "when more\nare needed.");
      },
      run_sign);
}

void add_withdraw(Commands& commands) {
  commands.add<WithdrawOptions>(
      commands.root(), "withdraw", "Tell every node to stop deciding with a release",
      [](CLI::App& command, WithdrawOptions& options) {
        command.add_option("ledger", options.ledger, "The ledger")
            ->type_name("ZONE/NAME")
            ->required();
        command.add_option("version", options.version, "The release")->type_name("vN")->required();
        command.add_option("--reason", options.reason, "Why, for the history")
            ->type_name("TEXT")
            ->required();
        command.footer(
            "A withdrawn release counts as expired at once, and cannot be made valid again:\n"
            "'notp rollback' publishes an older content as a new release.");
      },
      run_withdraw);
}

}  // namespace notp::cli
