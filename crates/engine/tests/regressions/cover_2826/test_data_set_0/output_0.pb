Bhardswish_13J«ª
>ªªª¾ªªª¾