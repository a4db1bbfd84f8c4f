#include "common/log_config.hpp"

namespace notp {

Result<LogConfig> load_log(const config::Section& log) {
  LogConfig out;
  NOTP_ASSIGN(out.level, log::parse_level(log.text("level")));
  NOTP_ASSIGN(out.format, log::parse_format(log.text("format")));
  return out;
}

}  // namespace notp
