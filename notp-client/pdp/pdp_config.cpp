#include "notp-client/pdp/pdp_config.hpp"

namespace notp::pdp {
namespace {

EmbeddedOptions embedded_of(const config::Section& pdp) {
  EmbeddedOptions out;
  out.engine.worker = pdp.text_or_empty("worker");
  out.engine.deadline_ms = pdp.integer("embedded.deadline_ms");
  out.engine.memory_bytes = pdp.size("embedded.memory_bytes");
  for (const config::Section& entry : pdp.sections("embedded.deadlines"))
    out.deadlines_ms[entry.text("path")] = entry.integer("deadline_ms");
  out.builtins = model::BuiltinGrants(pdp.elements("embedded.allow"));
  out.engine.has_network = out.builtins.reach_network();
  return out;
}

OpaOptions opa_of(const config::Section& pdp) {
  OpaOptions out;
  if (pdp.has("opa.url")) out.url = pdp.text("opa.url");
  if (pdp.has("opa.status_poll_ms")) out.status_poll_ms = pdp.integer("opa.status_poll_ms");
  return out;
}

OpaTokensLimits tokens_of(const config::Section& pdp) {
  OpaTokensLimits out;
  if (pdp.has("opa.tokens_max"))
    out.tokens_max = static_cast<size_t>(pdp.integer("opa.tokens_max"));
  return out;
}

Result<FolderOptions> folder_of(const config::Section& pdp) {
  if (!pdp.has("folder.path"))
    return fail(ErrorCode::kConfig, "pdp.folder.path: a PDP of kind folder needs the link's path");
  FolderOptions out;
  out.link = pdp.text("folder.path");
  out.hook = pdp.texts("folder.hook");
  return out;
}

}  // namespace

Result<PdpConfig> load_pdp(const config::Section& pdp) {
  PdpConfig out;
  const std::string kind = pdp.text("kind");
  if (kind == "opa") {
    out.kind = PdpKind::kOpa;
    out.opa = opa_of(pdp);
    out.opa_tokens = tokens_of(pdp);
  } else if (kind == "folder") {
    out.kind = PdpKind::kFolder;
    NOTP_ASSIGN(out.folder, folder_of(pdp));
  }
  out.embedded = embedded_of(pdp);
  return out;
}

}  // namespace notp::pdp
