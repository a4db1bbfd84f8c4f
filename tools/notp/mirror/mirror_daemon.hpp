// `notp mirror run`: the mirrors of a configuration, until a signal ends the process.
#pragma once

#include "common/systemd/notifier.hpp"
#include "tools/notp/mirror/mirror_config.hpp"

namespace notp::cli {

// Serves until SIGTERM or SIGINT; SIGHUP, or a change of the files, reloads the mirrors, the secret
// of the webhook and what they are checked by. Blocking; one thread, and a child process for each
// pass. Returns errors of the start only; later failures are logged and survived.
Result<void> run_mirrors(MirrorsConfig config, const Environment& environment,
                         systemd::Notifier notifier);

}  // namespace notp::cli
