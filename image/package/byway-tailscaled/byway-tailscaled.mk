################################################################################
#
# byway-tailscaled
#
################################################################################

BYWAY_TAILSCALED_VERSION = $(BYWAY_TAILSCALE_VERSION)
BYWAY_TAILSCALED_SITE = $(BYWAY_PREBUILT)
BYWAY_TAILSCALED_SITE_METHOD = local
# Its text, and those of the modules in it, are not beside the binary: the release brings them.
BYWAY_TAILSCALED_LICENSE = BSD-3-Clause
BYWAY_TAILSCALED_REDISTRIBUTE = NO
BYWAY_TAILSCALED_PRE_RSYNC_HOOKS += BYWAY_REQUIRE_PREBUILT

define BYWAY_TAILSCALED_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0755 $(@D)/tailscaled $(TARGET_DIR)/usr/sbin/tailscaled
endef

$(eval $(generic-package))
