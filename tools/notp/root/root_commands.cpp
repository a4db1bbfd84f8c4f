// notp root init, show, sign, publish: pass the statement of valid keys between the people who hold
// them.
#include "tools/notp/root/root_commands.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "protocol/trust/root_expiry.hpp"
#include "tools/notp/confirm.hpp"
#include "tools/notp/registry_client.hpp"
#include "tools/notp/root/key_files.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr TimeMs kDayMs = 24LL * 3600 * 1000;
constexpr std::string_view kNoFreshness =
    "warning: no freshness key: nodes cannot tell an old copy from a current one, and nothing "
    "expires without a registry; add one with 'notp root add-key --role freshness'";

struct InitOptions {
  std::string out = "root.envelope";
  std::vector<std::string> root_keys;
  uint32_t root_threshold = 0;
  std::vector<std::string> publishers;
  std::string freshness_key;
  int64_t expires_in_days = 365;
};

// The output of init, and the available keys to sign it.
struct NewRoot {
  trust::Root root;
  std::vector<PrivateKey> signers;
};

Result<NewRoot> new_root(const Context& context, const InitOptions& options) {
  NewRoot made;
  trust::Root& root = made.root;
  NOTP_ASSIGN(root.trust_domain, new_trust_domain(context));
  root.version = 1;
  root.epoch = 1;
  root.issued_ms = context.now.wall_ms;
  if (options.expires_in_days > 0)
    root.expires_ms = root.issued_ms + options.expires_in_days * kDayMs;
  for (const std::string& path : options.root_keys) {
    NOTP_ASSIGN(EitherKey key, read_either_key(path));
    root.root_keys.push_back(key.public_key);
    if (key.private_key) made.signers.push_back(*std::move(key.private_key));
  }
  root.root_threshold = options.root_threshold != 0
                            ? options.root_threshold
                            : static_cast<uint32_t>(root.root_keys.size() / 2 + 1);
  if (root.root_threshold > root.root_keys.size())
    return fail(ErrorCode::kUsage, fmt::format("--root-threshold {} with {}", root.root_threshold,
                                               counted(root.root_keys.size(), "root key")));
  for (const std::string& publisher : options.publishers) {
    NOTP_ASSIGN(trust::Delegation delegation, parse_publisher(publisher));
    root.delegations.push_back(std::move(delegation));
  }
  if (!options.freshness_key.empty()) {
    NOTP_ASSIGN(const PublicKey key, read_public_key(options.freshness_key));
    root.freshness_keys = {key};
  }
  return made;
}

Result<int> run_init(const Context& context, const InitOptions& options) {
  NOTP_ASSIGN(const NewRoot made, new_root(context, options));
  NOTP_TRY(check_statement(made.root));
  trust::Envelope envelope = trust::envelope_of(made.root);
  for (const PrivateKey& key : made.signers) trust::sign_envelope(envelope, key);
  NOTP_TRY(write_new_files({{options.out, envelope.encode(), false}}));
  NOTP_ASSIGN(const RootSigners signers, root_signers(envelope, made.root, nullptr));
  if (made.root.freshness_keys.empty()) context.output.note(kNoFreshness);
  json::object document = root_json(made.root, signers, nullptr, context.now.wall_ms);
  document["file"] = options.out;
  const std::string next =
      signers.complete()
          ? fmt::format(
                "Written to {}: pin it at the registry, at every agent and at every "
                "publisher.\n",
                options.out)
          : fmt::format("Written to {}. Next: notp root sign {} --key FILE, by {} more.\n",
                        options.out, options.out, counted(signers.own.needed(), "holder"));
  context.output.result(
      root_text(context.output, made.root, signers, nullptr, context.now.wall_ms) + next, document);
  return exit_code::kOk;
}

// The root before `root`: from the named file, else from this machine's chain, else none.
Result<std::optional<trust::Root>> find_previous(const Context& context, const trust::Root& root,
                                                 const std::string& named) {
  if (!named.empty()) {
    NOTP_ASSIGN(const RootFile previous, read_signed_root(named));
    NOTP_TRY(check_root_step(root, previous.root));
    return previous.root;
  }
  if (root.version == 1) return std::nullopt;
  NOTP_ASSIGN(const Settings settings, context.settings());
  if (settings.root.empty()) return std::nullopt;
  const auto chain = RootChain::load(settings, context.environment);
  if (!chain) return std::nullopt;  // another domain's root does not help here
  for (const RootPtr& known : chain->all())
    if (known->trust_domain == root.trust_domain && known->version + 1 == root.version)
      return *known;
  return std::nullopt;
}

struct ShowOptions {
  std::string file;
  std::string previous;
};

Result<int> run_show(const Context& context, const ShowOptions& options) {
  NOTP_ASSIGN(const RootFile file, read_root_file(options.file));
  const std::string& expected = context.flags.trust_domain;
  if (!expected.empty() && expected != file.root.trust_domain)
    return fail(ErrorCode::kWrongTarget,
                fmt::format("{}: a root of '{}' where '{}' is expected", options.file,
                            file.root.trust_domain, expected));
  NOTP_ASSIGN(const std::optional<trust::Root> previous,
              find_previous(context, file.root, options.previous));
  const trust::Root* before = previous ? &*previous : nullptr;
  const auto signers = root_signers(file.envelope, file.root, before);
  if (!signers) return std::unexpected(Error(signers.error()).in(options.file));
  if (const std::string soon = trust::root_expiry_text(file.root, context.now.wall_ms);
      !soon.empty())
    context.output.note("warning: " + soon);
  context.output.result(root_text(context.output, file.root, *signers, before, context.now.wall_ms),
                        root_json(file.root, *signers, before, context.now.wall_ms));
  return signers->complete() ? exit_code::kOk : exit_code::kPending;
}

struct SignOptions {
  std::string file;
  std::vector<std::string> keys;
  std::string previous;
  std::string out;
  bool yes = false;
};

std::string still_needed(const RootSigners& signers) {
  std::vector<std::string> parts;
  if (signers.previous && signers.previous->needed() > 0)
    parts.push_back(
        fmt::format("{} of the root before", counted(signers.previous->needed(), "signature")));
  if (signers.own.needed() > 0)
    parts.push_back(fmt::format("{} of its own", counted(signers.own.needed(), "signature")));
  return fmt::format("{}", fmt::join(parts, " and "));
}

// Refuses a signature by a key that does not count: it is always a signer's mistake.
Result<void> check_counts(const PrivateKey& key, const trust::Root& root,
                          const trust::Root* previous) {
  const auto names = [&](const trust::Root& r) {
    return std::ranges::find(r.root_keys, key.public_key()) != r.root_keys.end();
  };
  if (names(root) || (previous && names(*previous))) return {};
  return std::unexpected(Error{
      ErrorCode::kUsage,
      fmt::format("key {} is a root key neither of this root nor of the one before",
                  key.public_key().keyid()),
      {}}.with("hint",
               "'notp root add-key --role root' makes it one, with the signatures of the "
               "present root keys"));
}

Result<int> run_sign(const Context& context, const SignOptions& options) {
  NOTP_ASSIGN(RootFile file, read_root_file(options.file));
  NOTP_ASSIGN(const std::optional<trust::Root> previous,
              find_previous(context, file.root, options.previous));
  const trust::Root* before = previous ? &*previous : nullptr;
  if (!before && file.root.version > 1)
    return std::unexpected(Error{
        ErrorCode::kUsage,
        fmt::format("root {} cannot be judged without root {}", file.root.version,
                    file.root.version - 1),
        {}}.with("hint", "give --previous FILE: the root that is in force now"));
  std::vector<PrivateKey> keys;
  for (const std::string& path : options.keys) {
    NOTP_ASSIGN(PrivateKey key, read_private_key(path));
    NOTP_TRY(check_counts(key, file.root, before));
    keys.push_back(std::move(key));
  }
  NOTP_ASSIGN(RootSigners signers, root_signers(file.envelope, file.root, before));
  if (!context.output.is_json())
    context.output.raw(root_text(context.output, file.root, signers, before, context.now.wall_ms));
  if (!options.yes)
    NOTP_TRY(confirm(context.output, fmt::format("Sign root {} of {}?", file.root.version,
                                                 file.root.trust_domain)));
  for (const PrivateKey& key : keys) trust::sign_envelope(file.envelope, key);
  const std::string out = options.out.empty() ? options.file : options.out;
  NOTP_TRY(write_file(out, file.envelope.encode()));
  NOTP_ASSIGN(signers, root_signers(file.envelope, file.root, before));
  json::object document = root_json(file.root, signers, before, context.now.wall_ms);
  document["file"] = out;
  context.output.result(
      signers.complete()
          ? fmt::format("Signed; {} has all the signatures it needs. Next: {}.\n", out,
                        file.root.version == 1 ? "pin it at the registry, at every agent and at "
                                                 "every publisher"
                                               : fmt::format("notp root publish {}", out))
          : fmt::format("Signed; {} still needs {}.\n", out, still_needed(signers)),
      document);
  return exit_code::kOk;
}

struct PublishOptions {
  std::string file;
};

// The registry's newest root: from this machine's chain or, when a later one is pinned here
// already, as the registry reports it, signed at least by itself.
Result<RootPtr> root_in_force(RegistryClient& client, const RootChain& chain) {
  const uint64_t version = client.welcome().root_version;
  for (const RootPtr& known : chain.all())
    if (known->version == version) return known;
  NOTP_ASSIGN(const wire::RootsPage page,
              client.ask(wire::RootsRequest{version > 0 ? version - 1 : 0}));
  if (page.root_chain.empty())
    return fail(ErrorCode::kState, fmt::format("the registry does not show its root {}", version));
  NOTP_ASSIGN(trust::Root root,
              trust::verify_pinned_root(page.root_chain.front(), chain.newest()->trust_domain));
  return std::make_shared<const trust::Root>(std::move(root));
}

Result<int> print_published(const Context& context, const trust::Root& before,
                            const RootFile& file) {
  NOTP_ASSIGN(const RootSigners signers, root_signers(file.envelope, file.root, &before));
  json::object document = root_json(file.root, signers, &before, context.now.wall_ms);
  document["published"] = true;
  context.output.result(
      fmt::format("Published root {} -> {} of {}\n{}", before.version, file.root.version,
                  before.trust_domain,
                  root_changes_text(context.output, compare_root_statements(before, file.root))),
      document);
  return exit_code::kOk;
}

Result<int> run_publish(const Context& context, const PublishOptions& options) {
  NOTP_ASSIGN(const RootFile file, read_root_file(options.file));
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(RootChain chain, RootChain::load(settings, context.environment));
  NOTP_ASSIGN(const auto client, RegistryClient::connect(settings, chain.newest()->trust_domain,
                                                         chain.newest()->version, {}));
  NOTP_TRY(chain.extend(client->roots(), context.now.wall_ms));
  const uint64_t registry_version = client->welcome().root_version;
  if (file.root.version <= registry_version) {
    const auto known = std::ranges::find(chain.all(), file.root.version,
                                         [](const RootPtr& root) { return root->version; });
    const bool same = known != chain.all().end() && (*known)->encode() == file.envelope.payload;
    if (!same)
      return fail(ErrorCode::kConflict,
                  fmt::format("the registry is at root {} already, and {} is not one of its roots: "
                              "make it anew from the newest",
                              registry_version, options.file));
    context.output.result(
        fmt::format("Nothing to publish: the registry is at root {}.\n", registry_version),
        json::object{{"published", false}, {"version", registry_version}});
    return exit_code::kOk;
  }
  NOTP_ASSIGN(const RootPtr before, root_in_force(*client, chain));
  trust::Trusted trusted;
  trusted.root = before;
  trust::Update update;
  update.root_chain = {file.bytes};
  if (auto verdict = trust::verify_update(update, trusted, context.now.wall_ms); verdict.error)
    return std::unexpected(std::move(*verdict.error).in(options.file));
  NOTP_TRY(client->ask(wire::PublishRoot{file.bytes}));
  NOTP_TRY(chain.extend({&file.bytes, 1}, context.now.wall_ms));
  return print_published(context, *before, file);
}

void declare_init(CLI::App& command, InitOptions& options) {
  command
      .add_option("--root-key", options.root_keys,
                  "Keys of the root (notp keygen): a private key signs at once, a public one "
                  "stands for a holder who signs later, with notp root sign")
      ->type_name("FILE")
      ->required();
  command
      .add_option("--root-threshold", options.root_threshold,
                  "How many root keys must sign the next root (default: more than half)")
      ->check(CLI::PositiveNumber);
  command
      .add_option("--publisher", options.publishers,
                  "Who may publish which ledgers: '<zone>/<ledger>=key.pub[,key.pub…][:N]', "
                  "where either half may end in '*' and N keys must sign (default 1)")
      ->type_name("SPEC")
      ->required();
  command
      .add_option("--freshness-key", options.freshness_key,
                  "Public key with which the registry says what is current")
      ->type_name("FILE");
  command
      .add_option("--expires-in,--expires-in-days", options.expires_in_days,
                  "Days until it expires; 0: never")
      ->check(CLI::Range(0, 36500))
      ->type_name("DAYS")
      ->capture_default_str();
  command.add_option("--out", options.out, "File to write")
      ->type_name("FILE")
      ->capture_default_str();
}

void add_file(CLI::App& command, std::string& file) {
  command.add_option("file", file, "The root statement")->type_name("FILE")->required();
}

void add_previous(CLI::App& command, std::string& previous) {
  command
      .add_option("--previous", previous,
                  "The root before it (default: the one that this machine knows)")
      ->type_name("FILE");
}

void declare_sign(CLI::App& command, SignOptions& options) {
  add_file(command, options.file);
  command.add_option("--key", options.keys, "Private root key that signs (notp keygen)")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->required();
  add_previous(command, options.previous);
  command.add_option("--out", options.out, "File to write (default: the statement's own)")
      ->type_name("FILE");
  command.add_flag("-y,--yes", options.yes, "Sign without asking");
  command.footer(
      "Prints the whole statement, what it changes and whose signatures are missing, then asks.\n"
      "Refuses a key that is neither of this root nor of the one before.");
}

}  // namespace

Result<void> check_statement(const trust::Root& root) {
  const auto decoded = trust::Root::decode(root.encode());
  if (!decoded) return fail(ErrorCode::kUsage, decoded.error().message);
  for (const trust::Delegation& delegation : root.delegations)
    if (std::ranges::count(root.delegations, delegation.pattern, &trust::Delegation::pattern) > 1)
      return fail(ErrorCode::kUsage, fmt::format("'{}' is delegated twice; the second could never "
                                                 "apply",
                                                 delegation.pattern));
  return {};
}

void add_root(Commands& commands) {
  CLI::App* root = commands.root().add_subcommand(
      "root", "Make, change, sign and publish the root statement: whose keys count for what");
  root->require_subcommand(1);
  root->footer(
      "A root travels as a file: make or change it on one machine, carry it to each holder of a\n"
      "root key for 'notp root sign', and publish it when it has enough signatures of the root\n"
      "before it and of its own.");
  commands.add<InitOptions>(*root, "init",
                            "Make version 1 of the root of a trust domain (--trust-domain)",
                            declare_init, run_init);
  add_root_edits(commands, *root);
  commands.add<SignOptions>(*root, "sign", "Add a signature to a root, after showing what it says",
                            declare_sign, run_sign);
  commands.add<PublishOptions>(
      *root, "publish", "Give a fully signed root to the registry, which gives it to every node",
      [](CLI::App& command, PublishOptions& options) { add_file(command, options.file); },
      run_publish);
  commands.add<ShowOptions>(
      *root, "show", "Print a root, what it changes and who has signed it",
      [](CLI::App& command, ShowOptions& options) {
        add_file(command, options.file);
        add_previous(command, options.previous);
        command.footer("Exits with 9 when signatures are missing.");
      },
      run_show);
}

}  // namespace notp::cli
