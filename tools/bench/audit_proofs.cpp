#include "tools/bench/audit_proofs.hpp"

#include <future>

#include "common/crypto/x509.hpp"
#include "notp-server/audit/log_writer.hpp"
#include "notp-server/audit_tree/registry_tree.hpp"
#include "tools/bench/audit_questions.hpp"
#include "tools/bench/stopwatch.hpp"
#include "tools/notp/audit/proof_check.hpp"
#include "tools/notp/audit/proof_port.hpp"

namespace notp::bench {
namespace {

constexpr const char* kRegistry = "spiffe://core-platform.internal/registry/main";

// Asks in the registry's process.
class LocalProofs final : public cli::ProofPort {
 public:
  explicit LocalProofs(const audit::Proofs& proofs) : proofs_(proofs) {}
  Result<wire::TreePart> ask(const wire::TreeRequest& request) override {
    return proofs_.part(request);
  }
  Result<wire::RecordProof> ask(const wire::ProofRequest& request) override {
    return proofs_.prove(request, [](std::string_view) { return true; });
  }
  Result<wire::RootsPage> ask(const wire::RootsRequest&) override { return wire::RootsPage{}; }
  Result<wire::HistoryPage> ask(const wire::HistoryRequest&) override {
    return fail(ErrorCode::kNotFound, "the fleet's releases are not published");
  }

 private:
  const audit::Proofs& proofs_;
};

// A certificate that the registry has issued to itself.
Result<record::AnnouncementSigner> registry_signer() {
  NOTP_ASSIGN(auto made, x509::make_key(x509::KeyType::kP256));
  const std::shared_ptr<EVP_PKEY> signing(made.release(), EVP_PKEY_free);
  x509::Draft draft;
  draft.common_name = "registry";
  draft.uris = {kRegistry};
  draft.not_after_ms = 4'000'000'000'000;
  NOTP_ASSIGN(const auto certificate, x509::sign_own(draft, signing.get()));
  NOTP_ASSIGN(Bytes der, x509::der_of(certificate.get()));
  return record::AnnouncementSigner{{std::move(der)}, [signing](ByteView message) {
                                      return x509::sign_message(signing.get(), message);
                                    }};
}

// Puts what is stored into a tree, as a registry that starts does.
Result<void> fill(audit::AuditStore& store, audit::RegistryTree& tree) {
  audit::LogWriterOptions options;
  options.tree = &tree.writer();
  audit::LogWriter writer(store, std::move(options));
  NOTP_TRY(writer.start());
  NOTP_ASSIGN(const std::vector<audit::StoredLog> logs, store.logs({}, 1));
  if (logs.empty()) return fail(ErrorCode::kInternal, "nothing is stored");
  // The writer answers once it has put into the tree what is missing there.
  std::promise<void> answered;
  writer.offered(logs[0].node, {logs[0].log, logs[0].tree.size(), logs[0].tree.root()},
                 [&answered](const wire::LogGrant&) { answered.set_value(); });
  answered.get_future().wait();
  writer.stop();
  return {};
}

Result<void> prove_one(cli::AuditPort& port, cli::ProofPort& proofs, const std::string& id,
                       ProofFigures& out) {
  const Stopwatch proving;
  NOTP_ASSIGN(const auto found, cli::find_decisions(port, id));
  NOTP_ASSIGN(const cli::DecisionProof proof, cli::fetch_proof(port, proofs, found.front()));
  const std::string text = to_json_text(proof);
  out.prove_ms.add(proving.ms());
  const Stopwatch checking;
  NOTP_ASSIGN(const cli::DecisionProof read, cli::parse_decision_proof(text));
  const cli::ProofReport report = cli::check_proof(read, {});
  out.check_ms.add(checking.ms());
  if (report.error) return fail(ErrorCode::kInternal, "a proof: " + report.error->message);
  out.bytes.add(static_cast<double>(text.size() - to_base64(proof.decision.record).size()));
  return {};
}

}  // namespace

Result<ProofFigures> measure_proofs(const std::filesystem::path& folder, audit::AuditStore& store,
                                    cli::AuditPort& port, const RecordedFleet& fleet) {
  NOTP_ASSIGN(const auto tree,
              audit::RegistryTree::open(folder, store,
                                        {.trust_domain = kFleetDomain,
                                         .registry = kRegistry,
                                         .signer = [] { return registry_signer(); }},
                                        {.witnesses = {}, .client = {}}));
  tree->start();
  const Stopwatch filling;
  NOTP_TRY(fill(store, *tree));
  tree->stop();
  ProofFigures out;
  out.tree_s = filling.seconds();
  out.leaves = tree->log().size();
  LocalProofs proofs(tree->proofs());
  for (const std::string& id : fleet.draw_ids(kShowIds)) NOTP_TRY(prove_one(port, proofs, id, out));
  return out;
}

}  // namespace notp::bench
