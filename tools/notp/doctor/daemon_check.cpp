#include "tools/notp/doctor/daemon_check.hpp"

#include "tools/notp/child_program.hpp"
#include "tools/notp/doctor/machine.hpp"

namespace notp::cli::doctor {
namespace {

// It starts and stops a worker, on a machine that may be busy.
constexpr int kCheckMs = 60'000;

}  // namespace

Result<std::optional<json::value>> check_by_daemon(const Context& context, Diagnosis& diagnosis) {
  const Subject& subject = diagnosis.subject();
  NOTP_ASSIGN(const ChildOutput ran, run_program({program_file(subject.program), "--check", "-o",
                                                  "json", "--config", subject.config},
                                                 context.environment, kCheckMs));
  const Bytes& said = ran.errors;
  auto document = parse_json(ran.output);
  if (!document || !document->is_object() || !document->as_object().contains("findings")) {
    const std::string why = said.empty() ? "--check said nothing that can be read" : said;
    diagnosis.add("configuration_invalid", subject.config,
                  why.substr(0, why.find_last_not_of('\n') + 1));
    return std::nullopt;
  }
  diagnosis.add_setup(document->as_object()["findings"].as_array());
  check_keys_and_disks(config::Section(*document), diagnosis);
  return std::optional<json::value>(*std::move(document));
}

}  // namespace notp::cli::doctor
