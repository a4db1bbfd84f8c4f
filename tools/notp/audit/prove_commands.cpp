// notp decisions prove, check: the proof of one recorded decision, and its check without a
// registry.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "common/storage/files.hpp"
#include "tools/notp/audit/audit_commands.hpp"
#include "tools/notp/audit/event.hpp"
#include "tools/notp/audit/proof_check.hpp"
#include "tools/notp/audit/proof_port.hpp"
#include "tools/notp/audit/record_text.hpp"
#include "tools/notp/temporary_folder.hpp"

namespace notp::cli {
namespace {

// --- prove

struct ProveOptions {
  std::string id;
  std::string file;
};

Result<int> run_prove(const Context& context, const ProveOptions& options) {
  NOTP_ASSIGN(const AuditSession session, open_audit_session(context));
  NOTP_ASSIGN(const std::vector<AuditRecord> found, find_decisions(*session.port, options.id));
  RegistryProofs proofs(*session.query.client);
  NOTP_ASSIGN(const DecisionProof proof, fetch_proof(*session.port, proofs, found.front()));
  // What does not hold is not handed out as a proof.
  const ProofReport report = check_proof(proof, {});
  if (report.error)
    return std::unexpected(Error(*report.error).in("what the registry gives does not prove it"));
  const std::string text = to_json_text(proof);
  if (options.file.empty()) {
    context.output.raw(text);
    return exit_code::kOk;
  }
  NOTP_TRY(write_file(options.file, text));
  context.output.result(
      fmt::format("{}: the proof of {}, {} bytes, cosigned by {}.\nCheck it anywhere with\n  notp "
                  "decisions check {}\n",
                  options.file, proof.id, human_count(text.size()), report.cosigned,
                  shell_word(options.file)),
      json::object{{"file", options.file},
                   {"id", proof.id},
                   {"bytes", text.size()},
                   {"cosigned", report.cosigned}});
  return exit_code::kOk;
}

// --- check

struct CheckOptions {
  std::string file;
  std::string node_ca;
  std::vector<std::string> witnesses;
};

// The trust domain's roots: the pinned one, and its followers from the proof. nullopt: none is
// pinned here.
Result<std::optional<RootChain>> roots_for(const Context& context, const DecisionProof& proof) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  if (settings.root.empty()) return std::nullopt;
  NOTP_ASSIGN(const TemporaryFolder folder, TemporaryFolder::make("roots"));
  for (size_t i = 0; i < proof.roots.size(); ++i)
    NOTP_TRY(write_file(folder.path() / fmt::format("{}.envelope", i + 2), proof.roots[i]));
  return RootChain::read(settings, folder.path());
}

std::string steps_text(const Output& output, const ProofReport& report) {
  std::string text;
  for (const trust::VerifyStep& step : report.steps)
    text += fmt::format(
        "  {} {:<20} {}\n",
        step.passed ? output.paint(Colour::kGreen, "ok  ") : output.paint(Colour::kRed, "FAIL"),
        step.check, printable(step.detail, 400));
  return text;
}

AuditRecord as_record(const ProofReport& report) {
  AuditRecord out{report.node, report.log, *report.decision, {}, nullptr};
  if (report.active) out.active = std::make_shared<const record::ActiveSet>(*report.active);
  return out;
}

void print_check(const Output& output, const ProofReport& report) {
  json::array steps, unchecked;
  for (const trust::VerifyStep& step : report.steps)
    steps.push_back(
        json::object{{"check", step.check}, {"detail", step.detail}, {"passed", step.passed}});
  for (const std::string& each : report.unchecked) unchecked.push_back(json::string(each));
  json::object document{{"proven", !report.error},   {"node", report.node},
                        {"log", report.log.hex()},   {"cosigned", report.cosigned},
                        {"steps", std::move(steps)}, {"unchecked", std::move(unchecked)}};
  std::string text = steps_text(output, report);
  if (report.error) {
    document["error"] = error_object(*report.error);
    text += fmt::format("NOT PROVEN: {}\n", printable(report.error->message, 400));
  } else {
    const AuditRecord record = as_record(report);
    if (auto event = parse_json(event_json(record))) document["event"] = *std::move(event);
    text += "\n" + decision_text(record);
    text += fmt::format("\n{}\n", output.paint(Colour::kGreen, "PROVEN"));
    for (const std::string& each : report.unchecked) text += fmt::format("not checked: {}\n", each);
  }
  output.result(text, document);
}

Result<int> run_check(const Context& context, const CheckOptions& options) {
  NOTP_ASSIGN(const Bytes text, read_file(options.file, kProofFileBytesMax));
  NOTP_ASSIGN(const DecisionProof proof, parse_decision_proof(text));
  ProofAnchors anchors;
  std::optional<NodeAuthorities> authorities;
  if (!options.node_ca.empty()) {
    NOTP_ASSIGN(authorities, NodeAuthorities::read(options.node_ca));
    anchors.authorities = &*authorities;
  }
  NOTP_ASSIGN(const std::optional<RootChain> roots, roots_for(context, proof));
  if (roots) anchors.roots = &*roots;
  for (const std::string& each : options.witnesses) {
    auto key = record::parse_named_key(each);
    if (!key || !key->cosigns)
      return fail(
          ErrorCode::kUsage,
          fmt::format("--witness: '{}' is no key of a witness; 'notp witness key' prints it",
                      printable(each)));
    anchors.witnesses.push_back(*std::move(key));
  }
  const ProofReport report = check_proof(proof, anchors);
  print_check(context.output, report);
  return report.error ? exit_code::kFailure : exit_code::kOk;
}

}  // namespace

void add_decision_proofs(Commands& commands, CLI::App& decisions) {
  commands.add<ProveOptions>(
      decisions, "prove", "Write the proof of one decision, to be checked without the registry",
      [](CLI::App& command, ProveOptions& options) {
        command.add_option("id", options.id, "The decision's id")->type_name("ID")->required();
        command
            .add_option("-f,--file", options.file,
                        "Where the proof is written (default: standard output)")
            ->type_name("FILE");
        command.footer(
            "The proof leads from the record through the log that its node signed and the tree of\n"
            "what the registry has taken, as others have cosigned it, to the release that "
            "decided.\n"
            "It holds the whole record: hand it to those alone who may read it.");
      },
      run_prove);
  commands.add<CheckOptions>(
      decisions, "check", "Check the proof of a decision, offline",
      [](CLI::App& command, CheckOptions& options) {
        command.add_option("file", options.file, "What 'notp decisions prove' has written")
            ->type_name("FILE")
            ->required();
        command
            .add_option("--node-ca", options.node_ca,
                        "Authorities that must have issued the certificates of the node and of the "
                        "registry, PEM")
            ->type_name("FILE");
        command
            .add_option("--witness", options.witnesses,
                        "A witness that must have cosigned the registry's tree, as 'notp witness "
                        "key' prints it; may be repeated")
            ->type_name("KEY");
        command.footer(
            "Needs no registry. The releases' signatures are checked under --root, when there is\n"
            "one. Says which links rest on the proof's own word because nothing to check them by\n"
            "was given. Exit codes: 0 proven, 1 not.");
      },
      run_check);
}

}  // namespace notp::cli
