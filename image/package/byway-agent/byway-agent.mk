################################################################################
#
# byway-agent
#
################################################################################

BYWAY_AGENT_VERSION = $(BYWAY_VERSION)
BYWAY_AGENT_SITE = $(BYWAY_PREBUILT)
BYWAY_AGENT_SITE_METHOD = local
BYWAY_AGENT_LICENSE = MIT or Apache-2.0
BYWAY_AGENT_LICENSE_FILES = LICENSE
# Binaries: sources are this repository.
BYWAY_AGENT_REDISTRIBUTE = NO
BYWAY_AGENT_PRE_RSYNC_HOOKS += BYWAY_REQUIRE_PREBUILT

# It lies beside our sources, not beside the binary.
define BYWAY_AGENT_ADD_LICENSE
	$(INSTALL) -m 0644 $(BYWAY_TOP)/LICENSE $(@D)/LICENSE
endef
BYWAY_AGENT_POST_RSYNC_HOOKS += BYWAY_AGENT_ADD_LICENSE

define BYWAY_AGENT_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0755 $(@D)/byway $(TARGET_DIR)/usr/bin/byway
endef

$(eval $(generic-package))
