// notp keygen, notp root: the keys that sign, and the statement that says which of them count.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

#include "common/files.hpp"
#include "common/limits.hpp"
#include "tools/notp/command.hpp"
#include "tools/notp/key_files.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr TimeMs kDayMs = 24LL * 3600 * 1000;

struct KeygenOptions {
  std::string name;
};

Result<int> run_keygen(const Context& context, const KeygenOptions& options) {
  const fs::path key_path = options.name + ".key", public_path = options.name + ".pub";
  const PrivateKey key = PrivateKey::generate();
  NOTP_TRY(write_new_files(
      {{key_path, key.to_pem(), true}, {public_path, key.public_key().to_pem(), false}}));
  const std::string keyid = key.public_key().keyid();
  context.output.result(
      fmt::format("New Ed25519 key {}\n{}", keyid,
                  facts({{"private", key_path.string() + " (keep it secret and backed up)"},
                         {"public", public_path.string()}})),
      json::object{{"keyid", keyid},
                   {"private_key", key_path.string()},
                   {"public_key", public_path.string()}});
  return exit_code::kOk;
}

struct RootInitOptions {
  std::string out = "root.envelope";
  std::vector<std::string> root_keys;
  uint32_t root_threshold = 0;
  std::vector<std::string> publishers;
  int64_t expires_in_days = 365;
};

// "pattern=pub.pem[,pub.pem…][:threshold]"
Result<Delegation> parse_publisher(const std::string& text) {
  const auto refuse = [&](std::string_view why) {
    return std::unexpected(
        Error{ErrorCode::kUsage, fmt::format("--publisher '{}': {}", text, why), {}}.with(
            "hint", "as in --publisher '100000000000/*=alice.pub,bob.pub:2'"));
  };
  const size_t equals = text.find('=');
  if (equals == text.npos || equals == 0) return refuse("no pattern before '='");
  Delegation delegation;
  delegation.pattern = text.substr(0, equals);
  std::string files = text.substr(equals + 1);
  if (const size_t colon = files.rfind(':');
      colon != files.npos && files.find_first_not_of("0123456789", colon + 1) == files.npos) {
    const char* end = files.data() + files.size();
    const auto [last, error] = std::from_chars(files.data() + colon + 1, end, delegation.threshold);
    if (error != std::errc() || last != end) return refuse("no threshold after ':'");
    files.resize(colon);
  }
  for (size_t start = 0; start <= files.size();) {
    const size_t comma = std::min(files.find(',', start), files.size());
    if (comma == start) return refuse("a key file without a name");
    NOTP_ASSIGN(PublicKey key, read_public_key(files.substr(start, comma - start)));
    delegation.keys.push_back(key);
    start = comma + 1;
  }
  if (delegation.threshold == 0 || delegation.threshold > delegation.keys.size())
    return refuse(fmt::format("a threshold of {} with {} keys", delegation.threshold,
                              delegation.keys.size()));
  return delegation;
}

std::vector<std::string> keyids(const std::vector<PublicKey>& keys) {
  std::vector<std::string> ids;
  ids.reserve(keys.size());
  for (const PublicKey& key : keys) ids.push_back(key.keyid());
  return ids;
}

json::array text_array(const std::vector<std::string>& texts) {
  return json::array(texts.begin(), texts.end());
}

std::string root_text(const Root& root, size_t signers, TimeMs now_ms) {
  std::string expires = root.expires_ms == 0 ? "never" : utc_time(root.expires_ms);
  if (root.expires_ms != 0 && now_ms >= root.expires_ms) expires += " (expired)";
  std::string text = fmt::format("Root {} of {}\n", root.version, root.trust_domain);
  text +=
      facts({{"epoch", std::to_string(root.epoch)},
             {"issued", utc_time(root.issued_ms)},
             {"expires", expires},
             {"root keys", fmt::format("{} of {}: {}", root.root_threshold, root.root_keys.size(),
                                       fmt::join(keyids(root.root_keys), " "))},
             {"signed by", counted(signers, "root key")}});
  text += "Publishers, the first pattern that matches a ledger counts:\n";
  std::vector<std::pair<std::string, std::string>> rows;
  rows.reserve(root.delegations.size());
  for (const Delegation& delegation : root.delegations)
    rows.emplace_back(delegation.pattern,
                      fmt::format("{} of {}: {}", delegation.threshold, delegation.keys.size(),
                                  fmt::join(keyids(delegation.keys), " ")));
  return text + facts(rows);
}

json::object root_json(const Root& root, size_t signers, TimeMs now_ms) {
  json::array delegations;
  for (const Delegation& delegation : root.delegations)
    delegations.push_back(json::object{{"pattern", delegation.pattern},
                                       {"threshold", delegation.threshold},
                                       {"keyids", text_array(keyids(delegation.keys))}});
  json::object object{{"trust_domain", root.trust_domain},
                      {"version", root.version},
                      {"epoch", root.epoch},
                      {"issued", utc_time(root.issued_ms)},
                      {"root_threshold", root.root_threshold},
                      {"root_keyids", text_array(keyids(root.root_keys))},
                      {"signers", signers},
                      {"delegations", std::move(delegations)}};
  if (root.expires_ms != 0) object["expires"] = utc_time(root.expires_ms);
  object["expired"] = root.expires_ms != 0 && now_ms >= root.expires_ms;
  return object;
}

Result<int> run_root_init(const Context& context, const RootInitOptions& options) {
  Root root;
  NOTP_ASSIGN(root.trust_domain, new_trust_domain(context));
  root.version = 1;
  root.epoch = 1;
  root.issued_ms = context.now.wall_ms;
  if (options.expires_in_days > 0)
    root.expires_ms = root.issued_ms + options.expires_in_days * kDayMs;
  std::vector<PrivateKey> signers;
  for (const std::string& path : options.root_keys) {
    NOTP_ASSIGN(PrivateKey key, read_private_key(path));
    root.root_keys.push_back(key.public_key());
    signers.push_back(std::move(key));
  }
  root.root_threshold = options.root_threshold != 0 ? options.root_threshold
                                                    : static_cast<uint32_t>(signers.size() / 2 + 1);
  if (root.root_threshold > signers.size())
    return fail(ErrorCode::kUsage, fmt::format("--root-threshold {} with {}", root.root_threshold,
                                               counted(signers.size(), "root key")));
  for (const std::string& publisher : options.publishers) {
    NOTP_ASSIGN(Delegation delegation, parse_publisher(publisher));
    root.delegations.push_back(std::move(delegation));
  }
  Envelope envelope = envelope_of(root);
  for (const PrivateKey& key : signers) sign_envelope(envelope, key);
  const Bytes bytes = envelope.encode();
  NOTP_ASSIGN(const Root checked, verify_pinned_root(bytes, root.trust_domain));
  NOTP_TRY(write_new_files({{options.out, bytes, false}}));
  json::object document = root_json(checked, signers.size(), context.now.wall_ms);
  document["file"] = options.out;
  context.output.result(
      fmt::format(
          "{}Written to {}: pin it at the registry, at every agent and at every publisher.\n",
          root_text(checked, signers.size(), context.now.wall_ms), options.out),
      document);
  return exit_code::kOk;
}

struct RootShowOptions {
  std::string file;
};

Result<int> run_root_show(const Context& context, const RootShowOptions& options) {
  NOTP_ASSIGN(const Bytes bytes, read_file(options.file, limits::kEnvelopeBytesMax));
  const auto explain = [&](Error error) {
    return std::unexpected(std::move(error).in(options.file));
  };
  const auto envelope = Envelope::decode(bytes);
  if (!envelope) return explain(envelope.error());
  const auto decoded = Root::decode(envelope->payload);
  if (!decoded) return explain(decoded.error());
  const std::string& expected = context.flags.trust_domain;
  const auto root = verify_pinned_root(bytes, expected.empty() ? decoded->trust_domain : expected);
  if (!root) return explain(root.error());
  const size_t signers = count_signers(*envelope, root->root_keys);
  context.output.result(root_text(*root, signers, context.now.wall_ms),
                        root_json(*root, signers, context.now.wall_ms));
  return exit_code::kOk;
}

void declare_root_init(CLI::App& command, RootInitOptions& options) {
  command
      .add_option("--root-key", options.root_keys,
                  "Private keys of the root (notp keygen); each signs the statement")
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
  command.add_option("--expires-in", options.expires_in_days, "Days until it expires; 0: never")
      ->check(CLI::Range(0, 36500))
      ->type_name("DAYS")
      ->capture_default_str();
  command.add_option("--out", options.out, "File to write")
      ->type_name("FILE")
      ->capture_default_str();
}

}  // namespace

void add_keygen(Commands& commands) {
  commands.add<KeygenOptions>(
      commands.root(), "keygen", "Make an Ed25519 key that signs roots or releases",
      [](CLI::App& command, KeygenOptions& options) {
        command.add_option("--out", options.name, "Writes NAME.key (private) and NAME.pub")
            ->type_name("NAME")
            ->required();
      },
      run_keygen);
}

void add_root(Commands& commands) {
  CLI::App* root = commands.root().add_subcommand(
      "root", "Make or show the root statement: who may publish which ledgers");
  root->require_subcommand(1);
  commands.add<RootInitOptions>(*root, "init",
                                "Make version 1 of the root of a trust domain (--trust-domain)",
                                declare_root_init, run_root_init);
  commands.add<RootShowOptions>(
      *root, "show", "Check a root's signatures and print it",
      [](CLI::App& command, RootShowOptions& options) {
        command.add_option("file", options.file, "The root statement")
            ->type_name("FILE")
            ->required();
      },
      run_root_show);
}

}  // namespace notp::cli
