// notp verify: checks every release of a ledger's Git repository against the root chain, offline.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/limits.hpp"
#include "common/size_text.hpp"
#include "common/storage/files.hpp"
#include "protocol/trust/content_check.hpp"
#include "protocol/trust/roots_check.hpp"
#include "tools/notp/command.hpp"
#include "tools/notp/git/git_clone.hpp"
#include "tools/notp/root/root_chain.hpp"

namespace notp::cli {
namespace {

struct VerifyOptions {
  std::string repository;
  std::string roots;
  std::string ledger;
  uint64_t last = 0;
};

// One statement or content with all checks that it passed; the last one failed if there is an
// error.
struct Checked {
  std::string what;  // "root chain", "v12"
  std::vector<trust::VerifyStep> steps;
  std::optional<Error> error;
  uint64_t version = 0;
  Hash release;
  uint64_t root_version = 0;
  std::string withdrawn;

  void add(std::string_view check, std::string detail) {
    steps.push_back({check, std::move(detail), true});
  }
  void refuse(std::string_view check, Error why) {
    steps.push_back({check, why.message, false});
    error = std::move(why);
  }
};

// The first line of the message between the tag's title and its trailers. Stated by the registry,
// not signed.
std::string withdrawal_reason(std::string_view message) {
  const size_t title = message.find("\n\n");
  const std::string_view words = title == message.npos ? message : message.substr(title + 2);
  return printable(words.substr(0, words.find('\n')));
}

// The state carried from release to release.
class Audit {
 public:
  Audit(GitClone& clone, const RootChain& chain) : clone_(clone), chain_(chain) {}

  // `ledger` empty: the ledger of the first release.
  Result<std::vector<Checked>> run(std::optional<model::LedgerId> ledger, uint64_t last);
  const std::optional<model::LedgerId>& ledger() const { return ledger_; }

 private:
  Result<std::vector<Bytes>> read_envelopes();
  Checked check(uint64_t version, const Bytes& envelope, bool with_content);
  std::optional<trust::Release> check_statement(Checked& out, const Bytes& envelope);
  void check_content(Checked& out, const trust::Release& release, const Bytes& envelope);
  // Under a root that admits the statement, from root_ on: an earlier one may admit it and not its
  // content.
  Result<void> check_rule(Checked& out, const trust::Release& release, const Bytes& envelope,
                          const model::Tree& tree);
  model::BlobLoader loader_of(uint64_t version, const model::Tree& tree);
  Result<void> check_head(Checked& out, const Bytes& envelope);

  GitClone& clone_;
  const RootChain& chain_;
  std::optional<model::LedgerId> ledger_;
  size_t root_ = 0;  // only increases: an older root's key cannot sign a newer release
  trust::Floor floor_;
  std::optional<model::Tree> last_tree_;  // of the last release whose content was checked
};

Result<std::vector<Bytes>> Audit::read_envelopes() {
  std::vector<Bytes> envelopes;
  while (envelopes.size() < limits::kVersionMax) {
    NOTP_ASSIGN(std::optional<Bytes> envelope, clone_.envelope(envelopes.size() + 1));
    if (!envelope) break;
    envelopes.push_back(*std::move(envelope));
  }
  return envelopes;
}

// Uses the time at which the release was issued: an audit checks what was valid then.
std::optional<trust::Release> Audit::check_statement(Checked& out, const Bytes& envelope) {
  for (; root_ < chain_.all().size(); ++root_) {
    trust::Trusted trusted;
    trusted.root = chain_.all()[root_];
    trusted.ledgers[*ledger_].floor = floor_;
    trust::Update update;
    update.release = envelope;
    update.release_ledger = ledger_;
    TimeMs issued_ms = 0;
    if (const auto decoded = trust::Envelope::decode(envelope); decoded)
      if (const auto release = trust::Release::decode(decoded->payload); release)
        issued_ms = release->issued_ms;
    std::vector<trust::VerifyStep> steps;
    trust::Verdict verdict = trust::verify_update(update, trusted, issued_ms, &steps);
    const bool is_last = root_ + 1 == chain_.all().size();
    const bool may_be_later = verdict.error && !is_last &&
                              (verdict.error->code == ErrorCode::kSignature ||
                               verdict.error->code == ErrorCode::kExpired ||
                               verdict.error->code == ErrorCode::kWrongTarget);
    if (may_be_later) continue;
    out.root_version = trusted.root->version;
    out.steps.insert(out.steps.end(), steps.begin(), steps.end());
    out.error = std::move(verdict.error);
    if (out.error) return std::nullopt;
    out.release = verdict.release->ref.release_hash;
    floor_ = {verdict.release->release().epoch, verdict.release->release().version, out.release};
    return verdict.release->release();
  }
  return std::nullopt;
}

model::BlobLoader Audit::loader_of(uint64_t version, const model::Tree& tree) {
  std::map<Hash, std::string> paths;
  for (const auto& [path, entry] : tree.files()) paths.emplace(entry.hash, path);
  return [this, version, paths = std::move(paths)](const Hash& hash) -> Result<model::Content> {
    NOTP_ASSIGN(Bytes text, clone_.file(version, paths.at(hash), limits::kBlobBytesMax));
    return std::make_shared<const Bytes>(std::move(text));
  };
}

Result<void> Audit::check_rule(Checked& out, const trust::Release& release, const Bytes& envelope,
                               const model::Tree& tree) {
  Result<void> checked =
      trust::check_content(*chain_.all()[root_], release, tree, loader_of(release.version, tree));
  for (size_t later = root_ + 1; !checked && later < chain_.all().size(); ++later) {
    trust::Trusted trusted;
    trusted.root = chain_.all()[later];
    if (!trust::verify_release(envelope, *ledger_, trusted, /*now_ms=*/0) ||
        !trust::check_content(*trusted.root, release, tree, loader_of(release.version, tree)))
      continue;
    root_ = later;
    out.root_version = trusted.root->version;
    checked = {};
  }
  return checked;
}

void Audit::check_content(Checked& out, const trust::Release& release, const Bytes& envelope) {
  auto tree = clone_.content(out.version, release);
  if (!tree) return out.refuse("content.files", std::move(tree).error());
  out.add("content.files", fmt::format("{}, {}", counted(tree->files().size(), "file"),
                                       size_text(tree->total_bytes())));
  if (tree->content_root() != release.content_root)
    return out.refuse("content.root",
                      Error{ErrorCode::kContentRoot,
                            fmt::format("the files have the root {}, signed was {}",
                                        tree->content_root().hex(), release.content_root.hex()),
                            {}});
  out.add("content.root", release.content_root.hex());
  if (auto checked = check_rule(out, release, envelope, *tree); !checked)
    return out.refuse("release.content", std::move(checked).error());
  const trust::Delegation* const delegation = chain_.all()[root_]->delegation_for(*ledger_);
  out.add("release.content",
          delegation->content == trust::ContentRule::kKeys ? "key sets alone" : "any content");
  if (auto confined = trust::check_roots(release, *tree, loader_of(release.version, *tree));
      !confined)
    return out.refuse("release.roots", std::move(confined).error());
  out.add("release.roots", fmt::format("within {}", fmt::join(release.data_roots, ", ")));
  last_tree_ = *std::move(tree);
}

Checked Audit::check(uint64_t version, const Bytes& envelope, bool with_content) {
  Checked out;
  out.what = fmt::format("v{}", version);
  out.version = version;
  const std::optional<trust::Release> release = check_statement(out, envelope);
  if (!release) return out;
  if (release->version != version) {
    out.refuse("git.tag", Error{ErrorCode::kWrongTarget,
                                fmt::format("the tag v{} holds the statement of v{}", version,
                                            release->version),
                                {}});
    return out;
  }
  out.add("git.tag", out.what);
  if (with_content) check_content(out, *release, envelope);
  if (const auto withdrawn = clone_.withdrawal(version); withdrawn && *withdrawn)
    out.withdrawn = withdrawal_reason(**withdrawn);
  return out;
}

// The newest release must be the one that main names, and must be publishable under the newest
// root: older releases are bound by the hashes of those after them.
Result<void> Audit::check_head(Checked& out, const Bytes& envelope) {
  NOTP_ASSIGN(const auto tagged, clone_.commit(fmt::format("refs/tags/v{}", out.version)));
  NOTP_ASSIGN(const auto main, clone_.commit("refs/heads/main"));
  if (main && tagged != main) {
    out.refuse("git.main",
               Error{ErrorCode::kCorrupt,
                     fmt::format("main is not at v{}: releases are missing", out.version),
                     {}});
    return {};
  }
  if (main) out.add("git.main", *main);
  const RootPtr& newest = chain_.newest();
  if (out.root_version == newest->version) return {};
  trust::Trusted trusted;
  trusted.root = newest;
  trust::Update update;
  update.release = envelope;
  update.release_ledger = ledger_;
  trust::Verdict verdict = trust::verify_update(update, trusted, /*now_ms=*/0);
  if (!verdict.error && last_tree_) {
    auto checked = trust::check_content(*newest, verdict.release->release(), *last_tree_,
                                        loader_of(out.version, *last_tree_));
    if (!checked) verdict.error = std::move(checked).error();
  }
  if (verdict.error)
    out.refuse(
        "release.newest_root",
        std::move(*verdict.error).in(fmt::format("under root {}, the newest", newest->version)));
  else
    out.add("release.newest_root", fmt::format("root {}", newest->version));
  return {};
}

Result<std::vector<Checked>> Audit::run(std::optional<model::LedgerId> ledger, uint64_t last) {
  NOTP_ASSIGN(const std::vector<Bytes> envelopes, read_envelopes());
  if (envelopes.empty())
    return fail(ErrorCode::kNotFound,
                "there is no tag v1: is this a ledger's repository, with "
                "its tags?");
  ledger_ = std::move(ledger);
  if (!ledger_) {
    NOTP_ASSIGN(const trust::Envelope first, trust::Envelope::decode(envelopes.front()));
    NOTP_ASSIGN(const trust::Release release, trust::Release::decode(first.payload));
    ledger_ = release.ledger;
  }
  std::vector<Checked> out;
  for (uint64_t version = 1; version <= envelopes.size(); ++version) {
    const bool with_content = last == 0 || version + last > envelopes.size();
    out.push_back(check(version, envelopes[version - 1], with_content));
    if (out.back().error) return out;
  }
  NOTP_TRY(check_head(out.back(), envelopes.back()));
  return out;
}

std::string steps_text(const Output& output, const Checked& checked) {
  std::string text;
  for (const trust::VerifyStep& step : checked.steps)
    text += fmt::format(
        "{}  {}  {}  {}\n",
        step.passed ? output.paint(Colour::kGreen, "ok    ") : output.paint(Colour::kRed, "FAILED"),
        fmt::format("{:<10}", checked.what), fmt::format("{:<24}", step.check),
        printable(step.detail));
  if (!checked.withdrawn.empty())
    text += fmt::format("{}  {:<10}  withdrawn, says the registry: {}\n",
                        output.paint(Colour::kYellow, "note  "), checked.what, checked.withdrawn);
  return text;
}

json::array steps_json(const Checked& checked) {
  json::array steps;
  for (const trust::VerifyStep& step : checked.steps)
    steps.push_back(
        json::object{{"check", step.check}, {"passed", step.passed}, {"detail", step.detail}});
  return steps;
}

json::object checked_json(const Checked& checked) {
  json::object object{{"version", checked.version},
                      {"verified", !checked.error},
                      {"root_version", checked.root_version},
                      {"steps", steps_json(checked)}};
  if (!checked.release.is_zero()) object["release"] = checked.release.hex();
  if (!checked.withdrawn.empty()) object["withdrawn"] = checked.withdrawn;
  return object;
}

int print_audit(const Context& context, const VerifyOptions& options, const Checked& roots,
                const RootChain* chain, const Audit* audit, const std::vector<Checked>& releases) {
  const Checked& last = releases.empty() ? roots : releases.back();
  std::string text = steps_text(context.output, roots);
  json::array documents;
  for (const Checked& release : releases) {
    text += steps_text(context.output, release);
    documents.push_back(checked_json(release));
  }
  json::object document{{"repository", options.repository},
                        {"verified", !last.error},
                        {"root_steps", steps_json(roots)},
                        {"releases", std::move(documents)}};
  if (chain) document["trust_domain"] = chain->newest()->trust_domain;
  if (chain) document["root_version"] = chain->newest()->version;
  if (audit && audit->ledger()) document["ledger"] = audit->ledger()->text();
  if (last.error) {
    document["error"] = error_object(*last.error);
    text += fmt::format("NOT TO BE TRUSTED: {}: {}\n", last.what, last.error->message);
  } else {
    text += fmt::format("{} of {} verified, up to root {}.\n", counted(releases.size(), "release"),
                        audit->ledger()->text(), chain->newest()->version);
  }
  context.output.result(text, document);
  return last.error ? exit_code::kUntrusted : exit_code::kOk;
}

Result<int> run_verify(const Context& context, const VerifyOptions& options) {
  std::optional<model::LedgerId> ledger;
  if (!options.ledger.empty()) {
    NOTP_ASSIGN(ledger, model::LedgerId::parse(options.ledger));
  }
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(GitClone clone, GitClone::open(options.repository, context.environment));
  Checked roots;
  roots.what = "roots";
  auto chain = options.roots.empty() ? RootChain::load(settings, context.environment, &roots.steps)
                                     : RootChain::read(settings, options.roots, &roots.steps);
  if (!chain) {
    if (error_traits(chain.error().code).exit != exit_code::kUntrusted)
      return std::unexpected(std::move(chain).error());
    roots.error = std::move(chain).error();
    return print_audit(context, options, roots, nullptr, nullptr, {});
  }
  Audit audit(clone, *chain);
  NOTP_ASSIGN(const std::vector<Checked> releases, audit.run(std::move(ledger), options.last));
  return print_audit(context, options, roots, &*chain, &audit, releases);
}

}  // namespace

void add_verify(Commands& commands) {
  commands.add<VerifyOptions>(
      commands.root(), "verify", "Verify every release in a ledger's Git repository, offline",
      [](CLI::App& command, VerifyOptions& options) {
        command
            .add_option("repository", options.repository,
                        "A ledger's repository, or a clone of it with its tags")
            ->type_name("DIR")
            ->required();
        command
            .add_option("--roots", options.roots,
                        "Folder with the roots after the pinned one, <version>.envelope each, as "
                        "the registry keeps them (default: those seen by this machine)")
            ->type_name("DIR");
        command
            .add_option(
                "--ledger", options.ledger,
                "The ledger that it must be (default: the one that its first release names)")
            ->type_name("ZONE/NAME");
        command
            .add_option("--last", options.last,
                        "Recompute the content of the last N releases alone (default: of all)")
            ->check(CLI::PositiveNumber)
            ->type_name("N");
        command.footer(
            "Checks every signature against the roots of --root and after, the hash of each "
            "release\n"
            "in the one after it, and every file against the signed content root. Needs no "
            "registry,\nonly git. Exits with 7 at the first thing that is not to be trusted, and "
            "says what it is.");
      },
      run_verify);
}

}  // namespace notp::cli
