// notp root add-key, delegate, remove-key, set-threshold, set-content, set-data-roots,
// set-lane-key, set-epoch, set-expiry: make the next version of a root.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "common/storage/files.hpp"
#include "tools/notp/root/key_files.hpp"
#include "tools/notp/root/root_commands.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr TimeMs kDayMs = 24LL * 3600 * 1000;
constexpr size_t kKeyidDigits = 16;

enum class KeyRole : uint8_t { kRoot, kPublisher, kFreshness };

struct EditOptions {
  std::string file;
  std::string out;
  std::string role;
  std::string pattern;
  std::vector<std::string> keys;
  std::vector<std::string> data_roots;
  std::string content;  // "any", "keys"; empty: as it is
  bool none = false;
  uint32_t threshold = 0;
  uint64_t epoch = 0;
  std::optional<int64_t> expires_in_days;
};

std::unexpected<Error> refuse(std::string message, std::string hint = {}) {
  Error error{ErrorCode::kUsage, std::move(message), {}};
  return std::unexpected(hint.empty() ? std::move(error)
                                      : std::move(error).with("hint", std::move(hint)));
}

// A root being edited.
struct Edit {
  RootFile from;
  bool in_place = false;  // `from` is a draft, still without all signatures of its own keys
  trust::Root root;
  fs::path out;
};

Result<Edit> start_edit(const EditOptions& options) {
  Edit edit;
  NOTP_ASSIGN(edit.from, read_root_file(options.file));
  edit.root = edit.from.root;
  edit.in_place = !edit.from.is_signed();
  if (!edit.in_place) ++edit.root.version;
  edit.out = options.out;
  if (edit.out.empty())
    edit.out = edit.in_place ? edit.from.path
                             : edit.from.path.parent_path() /
                                   fmt::format("root-{}.envelope", edit.root.version);
  std::error_code error;
  if (fs::exists(edit.out, error) && !(edit.in_place && fs::equivalent(edit.out, edit.from.path)))
    return refuse(fmt::format("{} exists; nothing was written", edit.out.string()),
                  "when it is a draft, change the draft itself; else choose another --out");
  return edit;
}

// A new root gets its predecessor's lifetime, starting now, unless the options say otherwise.
void set_times(Edit& edit, const EditOptions& options, TimeMs now_ms) {
  const trust::Root& before = edit.from.root;
  edit.root.issued_ms = now_ms;
  if (options.expires_in_days)
    edit.root.expires_ms =
        *options.expires_in_days == 0 ? 0 : now_ms + *options.expires_in_days * kDayMs;
  else if (before.expires_ms != 0)
    edit.root.expires_ms = now_ms + (before.expires_ms - before.issued_ms);
}

// A key for key sets lives online, at a registry.
void warn_of_online_publishers(const Context& context, const trust::Root& root) {
  for (const trust::Delegation& keys : root.delegations) {
    if (keys.content != trust::ContentRule::kKeys) continue;
    for (const trust::Delegation& any : root.delegations) {
      if (any.content == trust::ContentRule::kKeys) continue;
      for (const PublicKey& key : keys.keys)
        if (std::ranges::find(any.keys, key) != any.keys.end())
          context.output.note(fmt::format(
              "warning: key {} publishes key sets of '{}', and policies of '{}', too: a registry "
              "should hold no such key",
              key.keyid(), keys.pattern, any.pattern));
    }
    if (keys.data_roots.empty())
      context.output.note(
          fmt::format("note: releases of '{}' may own all of data.keys; 'notp root "
                      "set-data-roots' narrows it, as to keys/login",
                      keys.pattern));
  }
}

Result<int> finish_edit(const Context& context, Edit edit, const EditOptions& options) {
  set_times(edit, options, context.now.wall_ms);
  NOTP_TRY(check_statement(edit.root));
  warn_of_online_publishers(context, edit.root);
  const trust::Envelope envelope = trust::envelope_of(edit.root);
  if (edit.in_place)
    NOTP_TRY(write_file(edit.out, envelope.encode()));
  else
    NOTP_TRY(write_new_files({{edit.out, envelope.encode(), false}}));
  const size_t dropped = edit.in_place ? edit.from.envelope.signatures.size() : 0;
  if (dropped > 0)
    context.output.note(fmt::format("note: {} made before the change {} dropped",
                                    counted(dropped, "signature"), dropped == 1 ? "was" : "were"));
  const trust::Root* previous = edit.in_place ? nullptr : &edit.from.root;
  NOTP_ASSIGN(const RootSigners signers, root_signers(envelope, edit.root, previous));
  json::object document = root_json(edit.root, signers, previous, context.now.wall_ms);
  document["file"] = edit.out.string();
  document["dropped_signatures"] = dropped;
  std::string text = root_text(context.output, edit.root, signers, previous, context.now.wall_ms);
  if (edit.in_place)
    text += "Changed in this draft:\n" +
            root_changes_text(context.output, compare_root_statements(edit.from.root, edit.root));
  text +=
      fmt::format("Written to {}. Next: notp root sign {}{} --key FILE\n", edit.out.string(),
                  edit.out.string(), previous ? fmt::format(" --previous {}", options.file) : "");
  context.output.result(text, document);
  return exit_code::kOk;
}

// True when `outer` matches every character that `inner` matches.
bool half_covers(std::string_view outer, std::string_view inner) {
  if (!outer.ends_with('*')) return outer == inner;
  outer.remove_suffix(1);
  if (inner.ends_with('*')) inner.remove_suffix(1);
  return inner.starts_with(outer);
}

bool covers(std::string_view outer, std::string_view inner) {
  const size_t a = outer.find('/'), b = inner.find('/');
  if (a == outer.npos || b == inner.npos) return false;
  return half_covers(outer.substr(0, a), inner.substr(0, b)) &&
         half_covers(outer.substr(a + 1), inner.substr(b + 1));
}

// Inserts it before the first pattern that covers all of its ledgers: after that one it could never
// apply.
trust::Delegation& new_delegation(trust::Root& root, const std::string& pattern) {
  const auto place = std::ranges::find_if(root.delegations, [&](const trust::Delegation& other) {
    return covers(other.pattern, pattern);
  });
  return *root.delegations.insert(place, trust::Delegation{pattern, {}, 1});
}

trust::Delegation* find_delegation(trust::Root& root, const std::string& pattern) {
  const auto found = std::ranges::find(root.delegations, pattern, &trust::Delegation::pattern);
  return found == root.delegations.end() ? nullptr : &*found;
}

Result<trust::Delegation*> named_delegation(trust::Root& root, const std::string& pattern) {
  if (trust::Delegation* delegation = find_delegation(root, pattern)) return delegation;
  return refuse(fmt::format("the root has no pattern '{}'", pattern),
                "'notp root show' lists them");
}

Result<KeyRole> key_role(const EditOptions& options) {
  const KeyRole role = options.role == "root"        ? KeyRole::kRoot
                       : options.role == "publisher" ? KeyRole::kPublisher
                                                     : KeyRole::kFreshness;
  if (role != KeyRole::kPublisher && !options.pattern.empty())
    return refuse(fmt::format("--pattern says nothing about a {} key", options.role));
  if (role != KeyRole::kPublisher && !(options.content.empty() && options.data_roots.empty()))
    return refuse(
        fmt::format("a {} key publishes nothing: --content and --data-root are for "
                    "publishers",
                    options.role));
  if (role == KeyRole::kFreshness && options.threshold != 0)
    return refuse("there is one freshness key; it has no threshold");
  return role;
}

void set_data_roots(trust::Delegation& delegation, const std::vector<std::string>& data_roots) {
  delegation.data_roots = data_roots;
  std::ranges::sort(delegation.data_roots);
  const auto twice = std::ranges::unique(delegation.data_roots);
  delegation.data_roots.erase(twice.begin(), twice.end());
}

// Releases that may hold key sets alone and own no place below data.keys could hold nothing.
Result<void> check_content_rule(const trust::Delegation& delegation) {
  const auto is_useless = [](const std::string& pattern) {
    return pattern != "*" && pattern != "keys" && !pattern.starts_with("keys/");
  };
  if (delegation.content == trust::ContentRule::kAny) return {};
  const auto useless = std::ranges::find_if(delegation.data_roots, is_useless);
  if (useless == delegation.data_roots.end()) return {};
  return refuse(fmt::format("releases of '{}' hold key sets alone, which are below data.keys: the "
                            "data root '{}' would be of no use to them",
                            delegation.pattern, *useless),
                "'notp root set-data-roots' names others, as keys/*");
}

Result<void> set_restrictions(trust::Delegation& delegation, const EditOptions& options) {
  if (!options.content.empty())
    delegation.content =
        options.content == "keys" ? trust::ContentRule::kKeys : trust::ContentRule::kAny;
  if (!options.data_roots.empty()) set_data_roots(delegation, options.data_roots);
  return check_content_rule(delegation);
}

Result<void> add_to(std::vector<PublicKey>& keys, const PublicKey& key) {
  if (std::ranges::find(keys, key) != keys.end())
    return refuse(fmt::format("key {} is there already", key.keyid()));
  keys.push_back(key);
  return {};
}

Result<int> run_add_key(const Context& context, const EditOptions& options) {
  NOTP_ASSIGN(Edit edit, start_edit(options));
  NOTP_ASSIGN(const KeyRole role, key_role(options));
  if (role == KeyRole::kPublisher && options.pattern.empty())
    return refuse("no --pattern says what the publisher may publish",
                  "as in --pattern '100000000000/*'");
  for (const std::string& path : options.keys) {
    NOTP_ASSIGN(const PublicKey key, read_public_key(path));
    if (role == KeyRole::kFreshness) {
      NOTP_TRY(add_to(edit.root.freshness_keys, key));
    } else if (role == KeyRole::kRoot) {
      NOTP_TRY(add_to(edit.root.root_keys, key));
    } else {
      trust::Delegation* delegation = find_delegation(edit.root, options.pattern);
      if (!delegation) delegation = &new_delegation(edit.root, options.pattern);
      NOTP_TRY(add_to(delegation->keys, key));
    }
  }
  if (options.threshold != 0 && role == KeyRole::kRoot)
    edit.root.root_threshold = options.threshold;
  if (options.threshold != 0 && role == KeyRole::kPublisher)
    find_delegation(edit.root, options.pattern)->threshold = options.threshold;
  if (role == KeyRole::kPublisher)
    NOTP_TRY(set_restrictions(*find_delegation(edit.root, options.pattern), options));
  return finish_edit(context, std::move(edit), options);
}

// Accepts a key id, or a file with the key: a lost key is often known by its id only.
Result<std::string> keyid_of(const std::string& text) {
  const bool is_keyid =
      text.size() == kKeyidDigits && text.find_first_not_of("0123456789abcdef") == text.npos;
  std::error_code error;
  if (is_keyid && !fs::exists(text, error)) return text;
  NOTP_ASSIGN(const PublicKey key, read_public_key(text));
  return key.keyid();
}

// False when it was not there.
bool remove_from(std::vector<PublicKey>& keys, const std::string& keyid) {
  return std::erase_if(keys, [&](const PublicKey& key) { return key.keyid() == keyid; }) > 0;
}

Result<void> check_threshold(std::string_view what, size_t keys, uint32_t threshold) {
  if (threshold <= keys) return {};
  return refuse(fmt::format("{} asks for {} of the {} left", what, threshold, counted(keys, "key")),
                "lower it in the same step with --threshold, or add a key first");
}

Result<void> remove_publisher(trust::Root& root, const EditOptions& options,
                              const std::string& keyid) {
  bool found = false;
  for (trust::Delegation& delegation : root.delegations) {
    if (!options.pattern.empty() && delegation.pattern != options.pattern) continue;
    if (!remove_from(delegation.keys, keyid)) continue;
    found = true;
    if (options.threshold != 0) delegation.threshold = options.threshold;
    if (delegation.keys.empty()) continue;
    NOTP_TRY(check_threshold(fmt::format("'{}'", delegation.pattern), delegation.keys.size(),
                             delegation.threshold));
  }
  std::erase_if(root.delegations, [](const trust::Delegation& d) { return d.keys.empty(); });
  if (found) return {};
  return refuse(options.pattern.empty()
                    ? fmt::format("key {} may publish nothing", keyid)
                    : fmt::format("key {} is not of '{}'", keyid, options.pattern));
}

Result<int> run_remove_key(const Context& context, const EditOptions& options) {
  NOTP_ASSIGN(Edit edit, start_edit(options));
  NOTP_ASSIGN(const KeyRole role, key_role(options));
  trust::Root& root = edit.root;
  for (const std::string& text : options.keys) {
    NOTP_ASSIGN(const std::string keyid, keyid_of(text));
    if (role == KeyRole::kPublisher) {
      NOTP_TRY(remove_publisher(root, options, keyid));
    } else if (role == KeyRole::kFreshness) {
      if (!remove_from(root.freshness_keys, keyid))
        return refuse(fmt::format("key {} is no freshness key", keyid));
    } else if (!remove_from(root.root_keys, keyid)) {
      return refuse(fmt::format("key {} is no root key", keyid));
    }
  }
  if (role == KeyRole::kRoot && options.threshold != 0) root.root_threshold = options.threshold;
  NOTP_TRY(check_threshold("the root", root.root_keys.size(), root.root_threshold));
  return finish_edit(context, std::move(edit), options);
}

Result<int> run_set_threshold(const Context& context, const EditOptions& options) {
  NOTP_ASSIGN(Edit edit, start_edit(options));
  NOTP_ASSIGN(const KeyRole role, key_role(options));
  if (role == KeyRole::kRoot) {
    edit.root.root_threshold = options.threshold;
    NOTP_TRY(check_threshold("the root", edit.root.root_keys.size(), options.threshold));
    return finish_edit(context, std::move(edit), options);
  }
  if (options.pattern.empty())
    return refuse("no --pattern says which publishers are meant", "as in --pattern '*/*'");
  NOTP_ASSIGN(trust::Delegation * delegation, named_delegation(edit.root, options.pattern));
  delegation->threshold = options.threshold;
  NOTP_TRY(check_threshold(fmt::format("'{}'", options.pattern), delegation->keys.size(),
                           options.threshold));
  return finish_edit(context, std::move(edit), options);
}

Result<int> run_set_data_roots(const Context& context, const EditOptions& options) {
  NOTP_ASSIGN(Edit edit, start_edit(options));
  NOTP_ASSIGN(trust::Delegation * delegation, named_delegation(edit.root, options.pattern));
  set_data_roots(*delegation, options.data_roots);
  NOTP_TRY(check_content_rule(*delegation));
  return finish_edit(context, std::move(edit), options);
}

Result<int> run_set_content(const Context& context, const EditOptions& options) {
  NOTP_ASSIGN(Edit edit, start_edit(options));
  NOTP_ASSIGN(trust::Delegation * delegation, named_delegation(edit.root, options.pattern));
  NOTP_TRY(set_restrictions(*delegation, options));
  return finish_edit(context, std::move(edit), options);
}

Result<int> run_set_lane_key(const Context& context, const EditOptions& options) {
  NOTP_ASSIGN(Edit edit, start_edit(options));
  std::optional<PublicKey>& lane_key = edit.root.lane_key;
  if (options.none) {
    if (!lane_key) return refuse("the root has no lane key");
    lane_key.reset();
    return finish_edit(context, std::move(edit), options);
  }
  NOTP_ASSIGN(const PublicKey key, read_public_key(options.keys.front()));
  if (lane_key == key) return refuse(fmt::format("key {} is the lane key already", key.keyid()));
  lane_key = key;
  return finish_edit(context, std::move(edit), options);
}

Result<int> run_set_epoch(const Context& context, const EditOptions& options) {
  NOTP_ASSIGN(Edit edit, start_edit(options));
  const uint64_t before = edit.root.epoch;
  edit.root.epoch = options.epoch != 0 ? options.epoch : before + 1;
  if (edit.root.epoch <= before)
    return refuse(fmt::format("epoch {} is not above {}: it only grows", edit.root.epoch, before));
  return finish_edit(context, std::move(edit), options);
}

Result<int> run_set_expiry(const Context& context, const EditOptions& options) {
  NOTP_ASSIGN(Edit edit, start_edit(options));
  return finish_edit(context, std::move(edit), options);
}

void declare_file(CLI::App& command, EditOptions& options) {
  command
      .add_option("file", options.file,
                  "A signed root, which the next version starts from, or a draft, which is "
                  "changed in place")
      ->type_name("FILE")
      ->required();
  command
      .add_option("--out", options.out,
                  "File to write (default: root-<version>.envelope beside it, or the draft)")
      ->type_name("FILE");
}

CLI::Option* declare_expiry(CLI::App& command, EditOptions& options) {
  return command
      .add_option("--expires-in,--expires-in-days", options.expires_in_days,
                  "Days until it expires; 0: never (default: as long as the root before)")
      ->check(CLI::Range(0, 36500))
      ->type_name("DAYS");
}

CLI::Option* declare_threshold(CLI::App& command, EditOptions& options, const char* text) {
  return command.add_option("--threshold", options.threshold, text)
      ->check(CLI::PositiveNumber)
      ->type_name("N");
}

void declare_role(CLI::App& command, EditOptions& options, const std::vector<std::string>& roles,
                  const char* pattern) {
  command.add_option("--role", options.role, "What the key is for")
      ->check(CLI::IsMember(roles))
      ->required();
  command.add_option("--pattern", options.pattern, pattern)->type_name("ZONE/LEDGER");
}

CLI::Option* declare_content(CLI::App& command, EditOptions& options) {
  return command
      .add_option("--content", options.content,
                  "What the publishers' releases may hold: anything, or the key sets of OpenID "
                  "providers alone")
      ->check(CLI::IsMember({"any", "keys"}));
}

void declare_data_roots(CLI::App& command, EditOptions& options, const char* text) {
  command.add_option("--data-root", options.data_roots, text)
      ->type_name("PATH")
      ->allow_extra_args(false);
}

void declare_add_key(CLI::App& command, EditOptions& options) {
  declare_file(command, options);
  declare_role(command, options, {"root", "publisher", "freshness"},
               "With publisher: the ledgers, where either half may end in '*'");
  command.add_option("--key", options.keys, "Public key (notp keygen)")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->required();
  declare_threshold(command, options, "How many of these keys must sign from now on");
  declare_content(command, options);
  declare_data_roots(command, options,
                     "With publisher: a data root that the releases may own, as 'notp root "
                     "set-data-roots' says");
  declare_expiry(command, options);
}

void declare_delegate(CLI::App& command, EditOptions& options) {
  options.role = "publisher";
  declare_file(command, options);
  command.add_option("ledgers", options.pattern, "The ledgers, where either half may end in '*'")
      ->type_name("ZONE/LEDGER")
      ->required();
  command.add_option("--key", options.keys, "Public key (notp keygen) that may publish them, too")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->required();
  declare_threshold(command, options, "How many of these keys must sign from now on");
  declare_content(command, options);
  declare_data_roots(command, options,
                     "A data root that the releases may own, as 'notp root set-data-roots' says");
  declare_expiry(command, options);
  command.footer(
      "The same as 'notp root add-key --role publisher --pattern ZONE/LEDGER'. Of several\n"
      "patterns that match a ledger, the first one counts: a new pattern is placed before those\n"
      "that cover all of its ledgers.");
}

void declare_remove_key(CLI::App& command, EditOptions& options) {
  declare_file(command, options);
  declare_role(command, options, {"root", "publisher", "freshness"},
               "With publisher: this pattern alone (default: every one that names the key)");
  command.add_option("--key", options.keys, "Public key, or its key id")
      ->type_name("FILE|KEYID")
      ->allow_extra_args(false)
      ->required();
  declare_threshold(command, options, "How many of the keys left must sign from now on");
  declare_expiry(command, options);
}

void declare_set_lane_key(CLI::App& command, EditOptions& options) {
  declare_file(command, options);
  CLI::Option_group* which = command.add_option_group("lane key");
  which->add_option("--key", options.keys, "Public key (notp keygen) of the registry's lanes.key")
      ->type_name("FILE")
      ->expected(1);
  which->add_flag("--none", options.none, "No lane key: nodes take no token lane any more");
  which->require_option(1);
  declare_expiry(command, options);
  command.footer(
      "The key lives at the registry and signs which tokens live and what is revoked, nothing\n"
      "else. Nodes must be of a version that knows it: an older one refuses the whole root.");
}

}  // namespace

Result<trust::Delegation> parse_publisher(const std::string& text) {
  const auto no = [&](std::string_view why) {
    return refuse(fmt::format("--publisher '{}': {}", text, why),
                  "as in --publisher '100000000000/*=alice.pub,bob.pub:2'");
  };
  const size_t equals = text.find('=');
  if (equals == text.npos || equals == 0) return no("no pattern before '='");
  trust::Delegation delegation;
  delegation.pattern = text.substr(0, equals);
  std::string files = text.substr(equals + 1);
  if (const size_t colon = files.rfind(':');
      colon != files.npos && files.find_first_not_of("0123456789", colon + 1) == files.npos) {
    const char* end = files.data() + files.size();
    const auto [last, error] = std::from_chars(files.data() + colon + 1, end, delegation.threshold);
    if (error != std::errc() || last != end) return no("no threshold after ':'");
    files.resize(colon);
  }
  for (size_t start = 0; start <= files.size();) {
    const size_t comma = std::min(files.find(',', start), files.size());
    if (comma == start) return no("a key file without a name");
    NOTP_ASSIGN(PublicKey key, read_public_key(files.substr(start, comma - start)));
    delegation.keys.push_back(key);
    start = comma + 1;
  }
  if (delegation.threshold == 0 || delegation.threshold > delegation.keys.size())
    return no(fmt::format("a threshold of {} with {} keys", delegation.threshold,
                          delegation.keys.size()));
  return delegation;
}

void add_root_edits(Commands& commands, CLI::App& root) {
  commands.add<EditOptions>(root, "add-key", "Start the next root, with one key more",
                            declare_add_key, run_add_key);
  commands.add<EditOptions>(root, "remove-key", "Start the next root, without a key",
                            declare_remove_key, run_remove_key);
  commands.add<EditOptions>(root, "delegate",
                            "Start the next root, where keys publish some ledgers",
                            declare_delegate, run_add_key);
  commands.add<EditOptions>(
      root, "set-threshold", "Start the next root, with another number of signatures",
      [](CLI::App& command, EditOptions& options) {
        declare_file(command, options);
        declare_role(command, options, {"root", "publisher"}, "With publisher: which of them");
        declare_threshold(command, options, "How many keys must sign")->required();
        declare_expiry(command, options);
      },
      run_set_threshold);
  commands.add<EditOptions>(
      root, "set-data-roots", "Start the next root, where some publishers may own other data",
      [](CLI::App& command, EditOptions& options) {
        declare_file(command, options);
        command.add_option("--pattern", options.pattern, "Which publishers: their ledgers")
            ->type_name("ZONE/LEDGER")
            ->required();
        declare_data_roots(command, options,
                           "A data root that their releases may own, with what lies below it; "
                           "a/*: only what lies below (default: any)");
        declare_expiry(command, options);
        command.footer(
            "Registry and nodes refuse a release of these ledgers that owns anything else,\n"
            "whoever has signed it.");
      },
      run_set_data_roots);
  commands.add<EditOptions>(
      root, "set-content", "Start the next root, where some publishers may publish other content",
      [](CLI::App& command, EditOptions& options) {
        declare_file(command, options);
        command.add_option("--pattern", options.pattern, "Which publishers: their ledgers")
            ->type_name("ZONE/LEDGER")
            ->required();
        declare_content(command, options)->required();
        declare_expiry(command, options);
        command.footer(
            "With 'keys', a release holds manifest.json and keys/<issuer>/data.json with public\n"
            "keys, and nothing else: registry and nodes refuse any other, whoever has signed it.\n"
            "It is for the key of a registry that fetches the keys of OpenID providers. Nodes\n"
            "must be of a version that knows the rule: an older one refuses the whole root.");
      },
      run_set_content);
  commands.add<EditOptions>(root, "set-lane-key",
                            "Start the next root, with another key for the token lanes",
                            declare_set_lane_key, run_set_lane_key);
  commands.add<EditOptions>(
      root, "set-epoch", "Start the next root, with a higher epoch: versions start over above it",
      [](CLI::App& command, EditOptions& options) {
        declare_file(command, options);
        command.add_option("--epoch", options.epoch, "The epoch (default: one more)")
            ->check(CLI::PositiveNumber)
            ->type_name("N");
        declare_expiry(command, options);
        command.footer(
            "For recovery when a far too high version was published, or when the registry "
            "was\n"
            "restored from an older copy than its nodes have seen: releases of the new\n"
            "epoch are above all of the old one.");
      },
      run_set_epoch);
  commands.add<EditOptions>(
      root, "set-expiry", "Start the next root, with another expiry",
      [](CLI::App& command, EditOptions& options) {
        declare_file(command, options);
        declare_expiry(command, options)->required();
      },
      run_set_expiry);
}

}  // namespace notp::cli
