# From here on what the image brought stays as it is until the power goes.
mount -o remount,ro /
