// A scale bar, and a panel with the opacity of each layer and the colours of the classes; folded on small screens.
addEventListener('load', () => {
  const { map, title, layers, classes } = PREVIEW
  L.control.scale({ imperial: false }).addTo(window[map])
  const panel = L.control({ position: 'bottomright' })
  panel.onAdd = () => {
    const box = L.DomUtil.create('details', 'panel')
    box.open = innerWidth > 600
    L.DomUtil.create('summary', '', box).textContent = title
    if (layers.length) L.DomUtil.create('h2', '', box).textContent = 'Opacity'
    for (const { name, variable } of layers) {
      const label = L.DomUtil.create('label', '', box), range = document.createElement('input')
      label.textContent = name
      Object.assign(range, { type: 'range', min: 0, max: 100, value: 100 })
      range.addEventListener('input', () => window[variable].setOpacity(range.value / 100))
      label.append(range)
    }
    if (classes.length) L.DomUtil.create('h2', '', box).textContent = 'Labels'
    const list = L.DomUtil.create('ul', '', box)
    for (const { name, color } of classes) {
      const item = L.DomUtil.create('li', '', list)
      L.DomUtil.create('i', '', item).style.background = color
      item.append(name)
    }
    L.DomEvent.disableClickPropagation(box)
    L.DomEvent.disableScrollPropagation(box)
    return box
  }
  panel.addTo(window[map])
  document.documentElement.dataset.ready = ''
})
